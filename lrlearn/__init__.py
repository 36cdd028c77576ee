"""lrlearn: learned optimizers that regularize, for Keras."""

import importlib

# At once, so that `keras.models.load_model` knows what they register.
from lrlearn.models import SharpnessAwareModel
from lrlearn.optimizers import LearnedOptimizer

__version__ = "0.1.0"

_SUBMODULES = (
    "evaluation",
    "experiments",
    "meta",
    "models",
    "optimizers",
    "plots",
    "regularizers",
    "rules",
    "tasks",
)

__all__ = ["LearnedOptimizer", "MetaTrainer", "SharpnessAwareModel", *_SUBMODULES]


def __getattr__(name):
    # Loaded on first use: what trains under JAX or torch imports no TensorFlow.
    if name in _SUBMODULES:
        return importlib.import_module(f"lrlearn.{name}")
    if name == "MetaTrainer":
        return importlib.import_module("lrlearn.meta").MetaTrainer
    raise AttributeError(f"module 'lrlearn' has no attribute {name!r}")


def __dir__():
    return sorted([*globals(), *__all__])
