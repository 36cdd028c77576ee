"""lrlearn: learned optimizers that regularize, for Keras."""

import importlib

import keras

# At once, so that `keras.models.load_model` knows these classes.
from lrlearn.models import SharpnessAwareModel
from lrlearn.optimizers import LearnedOptimizer, RunLength

__version__ = "0.1.0"

_ANYWHERE = ("models", "optimizers", "regularizers", "rules")
_ON_TENSORFLOW = ("evaluation", "meta", "plots", "tasks")

__all__ = ["LearnedOptimizer", "RunLength", "SharpnessAwareModel", *_ANYWHERE]
if keras.backend.backend() == "tensorflow":
    __all__ += ["MetaTrainer", *_ON_TENSORFLOW]


def __getattr__(name):
    # Loaded on first use: training under JAX or torch imports no TensorFlow.
    if name in (*_ANYWHERE, *_ON_TENSORFLOW):
        return importlib.import_module(f"lrlearn.{name}")
    if name == "MetaTrainer":
        return importlib.import_module("lrlearn.meta").MetaTrainer
    raise AttributeError(f"module 'lrlearn' has no attribute {name!r}")


def __dir__():
    return sorted([*globals(), *__all__])
