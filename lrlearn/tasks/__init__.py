"""Tasks: models to be optimized, with their losses and data."""

from lrlearn import tensorflow_only  # noqa: F401
from lrlearn.tasks.collections import load_collection
from lrlearn.tasks.registry import load, names
from lrlearn.tasks.task import Task

__all__ = ["Task", "load", "load_collection", "names"]
