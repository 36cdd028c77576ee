"""Tasks: optimizees with their losses and data."""

from lrlearn.tasks.registry import load, names
from lrlearn.tasks.task import Task

__all__ = ["Task", "load", "names"]
