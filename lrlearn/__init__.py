"""lrlearn: learned optimizers that regularize, for Keras."""

import importlib

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
_CLASSES = {
    "LearnedOptimizer": "optimizers",
    "MetaTrainer": "meta",
    "SharpnessAwareModel": "models",
}

__all__ = [*_SUBMODULES, *_CLASSES]


def __getattr__(name):
    # Loaded on first use, so that a rule under JAX or torch imports no TensorFlow.
    if name in _SUBMODULES:
        return importlib.import_module(f"lrlearn.{name}")
    if name in _CLASSES:
        return getattr(importlib.import_module(f"lrlearn.{_CLASSES[name]}"), name)
    raise AttributeError(f"module 'lrlearn' has no attribute {name!r}")


def __dir__():
    return sorted([*globals(), *__all__])
