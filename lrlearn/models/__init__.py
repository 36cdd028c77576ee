"""Models that regularizers train."""

from lrlearn.models.sharpness_aware_model import SharpnessAwareModel

__all__ = ["SharpnessAwareModel"]
