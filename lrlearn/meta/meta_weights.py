"""The weights that meta-training moves."""

import keras
import numpy as np
import tensorflow as tf

from lrlearn.optimizers.backends import apply_reduced


class MetaWeights:
    r"""`theta`, its moving average, and the best average so far.

    After meta-step $t$, $\bar\theta \leftarrow a_t \bar\theta + (1 - a_t)\,\theta$ with
    $a_t = \min(a, (1 + t)/(10 + t))$: the average forgets the untrained weights early.

    Args:
        theta: A dict of arrays to start from.
        optimizer: A Keras optimizer, not yet built.
        ema_decay: The decay $a$.

    Raises:
        ValueError: If the optimizer has been used before.
    """

    def __init__(self, theta, optimizer, ema_decay):
        if optimizer.built:
            raise ValueError(
                "`meta_optimizer` must be new, as it holds one run's moments. "
                f"Received: a {type(optimizer).__name__} that has been used"
            )
        self._theta, self._average = (
            {name: keras.Variable(value) for name, value in sorted(theta.items())}
            for _ in ("theta", "average")
        )
        self._best = None
        self._decay = ema_decay
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
        return dict(self._best or self._average_arrays())

    def apply(self, gradient):
        """Moves `theta` along a meta-gradient, a dict of tensors; works in a graph."""
        gradients = [gradient[name] for name in self._theta]
        apply_reduced(self._optimizer, gradients, list(self._theta.values()))
        t = tf.cast(self._optimizer.iterations, tf.float32)
        decay = tf.minimum(self._decay, (1.0 + t) / (10.0 + t))
        for name, average in self._average.items():
            average.assign_add((1.0 - decay) * (self._theta[name] - average))

    def keep_average(self):
        """Keeps the present average as the best."""
        self._best = self._average_arrays()

    def arrays(self):
        """Returns all state, a dict of names to NumPy arrays."""
        kept = {f"best/{name}": value for name, value in (self._best or {}).items()}
        return kept | {name: np.asarray(v) for name, v in self._variables().items()}

    def restore(self, arrays):
        """Takes what `arrays` returned."""
        for name, variable in self._variables().items():
            variable.assign(arrays[name])
        best = {n: arrays[f"best/{n}"] for n in self._theta if f"best/{n}" in arrays}
        self._best = best or None

    def _average_arrays(self):
        return {name: v.numpy() for name, v in self._average.items()}

    def _variables(self):
        return {
            **{f"theta/{name}": v for name, v in self._theta.items()},
            **{f"average/{name}": v for name, v in self._average.items()},
            **{f"optimizer/{i}": v for i, v in enumerate(self._optimizer.variables)},
        }
