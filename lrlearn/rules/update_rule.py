"""The interface of update rules."""

import math
from collections.abc import Mapping

import keras
import numpy as np
from keras import ops

from lrlearn.configurable import Configurable

_CACHE_LINE = 16  # of float32


class UpdateRule(Configurable):
    r"""A learned update rule: pure functions of `(theta, gradient, parameter, state)`.

    A rule turns gradients $g_s$ into parameter updates $d_s$,

    $$d_s, h_{s+1} = \mathrm{rule}_\theta(g_s, w_s, h_s), \qquad
      w_{s+1} = w_s + d_s.$$

    It holds no variables: `theta` and the state are arguments, so the same functions
    serve `LearnedOptimizer`, `MetaTrainer` and every Keras backend. It takes the
    coordinates of any number of tensors at once, one after another. They are laid out
    along the last axis (`[n]`, `[features, n]`, `[units, n]`): on a CPU this is the
    fast layout. All computation is in float32.

    Subclasses implement `init_theta`, `initial_state`, `update` and `get_config`, and
    `init_statistics` if the state has statistics of whole tensors.
    `CoordinatewiseRule` is for those that take each coordinate by itself.

    Attributes:
        backends: Names of the Keras backends that the rule runs on; all that train
            models by default.
        run_inputs: Names of what the rule is told about the run that it is in, fields
            of `Run`. Defaults to none.
    """

    backends = ("tensorflow", "jax", "torch")
    run_inputs = ()

    def init_theta(self, seed=0):
        """Returns untrained weights.

        Args:
            seed: Integer seed.

        Returns:
            A dict of names to float32 NumPy arrays.
        """
        raise NotImplementedError

    def theta_shapes(self):
        """Returns the weights' shapes, a dict of names to tuples.

        A preset's file is checked against them before anything is loaded. Override
        this if they are known without making the weights.
        """
        return {name: np.shape(value) for name, value in self.init_theta().items()}

    def init_statistics(self, shapes):
        """Returns the state of whole tensors.

        Args:
            shapes: The tensors' shapes, a list of tuples.

        Returns:
            A dict of `[k, m]` tensors, by default empty. The states of several tensors
            stand side by side along the last axis.
        """
        return {}

    def initial_state(self, shapes):
        """Returns the state before the first step.

        Args:
            shapes: The tensors' shapes, a list of tuples, or the size of a vector.

        Returns:
            A dict of dicts of float32 tensors: `"statistics"`, `[k, m]` each, the
            tensors' own side by side; `"accumulators"` and `"memory"`, `[k, n]` each,
            in which coordinates start alike.
        """
        raise NotImplementedError

    def dial(self, run):
        """Returns the setting of the dial in a `Run`, 0 if it is not told.

        Override this for another default; it may depend on a resolved run's epochs.
        """
        return ops.maximum(run.rho, 0.0)

    def for_xla(self):
        """Returns this rule in the form that XLA compiles to the fastest code.

        It computes the same. Defaults to the rule itself.
        """
        return self

    def update(self, theta, gradient, parameter, state, step, shapes=None, *, run=None):
        """Takes one step of the rule, for flat coordinates.

        Args:
            theta: A dict like that of `init_theta`.
            gradient: Tensor `[n]`, of any float type.
            parameter: Tensor `[n]`, of any float type.
            state: What `initial_state` or the last call returned.
            step: Number of this step, from 1.
            shapes: The shapes of the tensors that the coordinates are of, a list of
                tuples. Defaults to `None`: a single vector.
            run: A `Run`. Defaults to `None`, of which nothing is known.

        Returns:
            A tuple `(d, state)`; `d` of shape `[n]`, float32, is added to the
            parameter.
        """
        raise NotImplementedError

    def standardize_theta(self, theta):
        """Returns weights as float32 arrays, in the order of their names.

        Args:
            theta: A dict of names to arrays.

        Raises:
            ValueError: If they do not fit this rule or are not finite.
        """
        if not isinstance(theta, Mapping):
            raise ValueError(
                "`theta` must be a dict of names to arrays. Received: "
                f"{type(theta).__name__}"
            )
        self._check_shapes({name: np.shape(value) for name, value in theta.items()})
        with np.errstate(over="ignore"):
            theta = {n: np.array(theta[n], "float32", order="C") for n in sorted(theta)}
        wrong = [name for name, value in theta.items() if not np.isfinite(value).all()]
        if wrong:
            raise ValueError(f"`theta` must be finite. Received: NaN or inf in {wrong}")
        return theta

    def _check_shapes(self, received):
        expected = self.theta_shapes()
        wrong = "; ".join(
            f"{name!r} must be {expected.get(name, 'absent')}, "
            f"received {received.get(name, 'none')}"
            for name in sorted(expected.keys() | received.keys())
            if expected.get(name) != received.get(name)
        )
        if wrong:
            name = type(self).__name__
            raise ValueError(f"`theta` must fit the rule {name}: {wrong}")

    def check_backend(self):
        """Raises a `ValueError` unless the rule runs on Keras's current backend."""
        if keras.backend.backend() not in self.backends:
            raise ValueError(
                f"The Keras backend must be one of {self.backends} for the rule "
                f"{type(self).__name__}. Received: {keras.backend.backend()!r}"
            )


def size_and_shapes(shapes):
    """Returns the number of coordinates and the shapes, given either."""
    if isinstance(shapes, int):
        return shapes, [(shapes,)]
    return sum(math.prod(shape) for shape in shapes), shapes


def aligned(n):
    """Returns `n` rounded up to whole cache lines of float32.

    Rows of `[units, n]` are then whole cache lines, taken apart without a copy.

    Example:
        >>> from lrlearn.rules.update_rule import aligned
        >>> aligned(0), aligned(1), aligned(16)
        (0, 16, 16)
    """
    return -(-n // _CACHE_LINE) * _CACHE_LINE
