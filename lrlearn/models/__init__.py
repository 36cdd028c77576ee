"""Keras models that are trained with regularizers."""

from lrlearn.models.sharpness_aware_model import SharpnessAwareModel

__all__ = ["SharpnessAwareModel"]
