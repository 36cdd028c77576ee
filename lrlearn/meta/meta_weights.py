"""The weights that meta-training moves."""

import keras
import numpy as np
import tensorflow as tf


class MetaWeights:
    r"""`theta`, its moving average, and the best average so far.

    $$\bar\theta \leftarrow a\,\bar\theta + (1 - a)\,\theta$$ after each meta-step.

    Args:
        theta: A dict of arrays to start from.
        optimizer: A Keras optimizer, not yet built.
        average: The decay $a$.
    """

    def __init__(self, theta, optimizer, average):
        self._theta = _variables(theta, "theta")
        self._average = _variables(theta, "average")
        self._best = None
        self._decay = average
        self._optimizer = optimizer
        optimizer.build(list(self._theta.values()))

    @property
    def theta(self):
        """The weights in training, a dict of tensors."""
        return {name: tf.convert_to_tensor(v) for name, v in self._theta.items()}

    @property
    def average(self):
        """Their moving average, a dict of tensors."""
        return {name: tf.convert_to_tensor(v) for name, v in self._average.items()}

    @property
    def best(self):
        """The kept average, or the present one; a dict of NumPy arrays."""
        if self._best is not None:
            return dict(self._best)
        return {name: v.numpy() for name, v in self.average.items()}

    def apply(self, gradient):
        """Moves `theta` along a meta-gradient, a dict of tensors; works in a graph."""
        weights = list(self._theta.values())
        self._optimizer.apply([gradient[name] for name in self._theta], weights)
        for name, average in self._average.items():
            step = (1.0 - self._decay) * (self._theta[name] - average)
            average.assign_add(step)

    def keep_average(self):
        """Keeps the present average as the best."""
        self._best = {name: v.numpy() for name, v in self.average.items()}

    def arrays(self):
        """Returns all state, a dict of names to NumPy arrays."""
        named = dict(self._variables_by_name())
        arrays = {name: np.asarray(v) for name, v in named.items()}
        kept = self._best or {}
        return arrays | {f"best/{name}": value for name, value in kept.items()}

    def restore(self, arrays):
        """Takes what `arrays` returned."""
        for name, variable in self._variables_by_name():
            variable.assign(arrays[name])
        best = {name: arrays[f"best/{name}"] for name in self._theta if _has(arrays)}
        self._best = best or None

    def _variables_by_name(self):
        for name in self._theta:
            yield f"theta/{name}", self._theta[name]
            yield f"average/{name}", self._average[name]
        for index, variable in enumerate(self._optimizer.variables):
            yield f"meta_optimizer/{index}", variable


def _has(arrays):
    return any(name.startswith("best/") for name in arrays)


def _variables(theta, prefix):
    return {
        name: keras.Variable(value, name=f"{prefix}_{name}".replace("/", "_"))
        for name, value in sorted(theta.items())
    }
