"""Names of built-in presets that `compile` takes, as it takes `"adam"`."""

import keras

from lrlearn.optimizers import presets
from lrlearn.optimizers.learned_optimizer import LearnedOptimizer


class _BuiltIn:
    """Stands for a built-in preset in Keras's registry of names."""

    def __init__(self, name):
        self._name = name

    def from_config(self, config):
        return LearnedOptimizer.from_preset(self._name, **config)


def register():
    """Adds the names to Keras's registry."""
    for name in presets.built_in():
        keras.saving.get_custom_objects()[name] = _BuiltIn(name)
