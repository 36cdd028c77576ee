"""Figures from results."""

from lrlearn.plots.figures import sharpness_by_radius, training_curves

__all__ = ["sharpness_by_radius", "training_curves"]
