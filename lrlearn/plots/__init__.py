"""Figures: data frames in, matplotlib figures out."""

from lrlearn.plots.figures import sharpness_by_radius, training_curves
from lrlearn.plots.landscape import loss_landscape

__all__ = ["loss_landscape", "sharpness_by_radius", "training_curves"]
