"""The interface of update rules."""

import math
from collections.abc import Mapping

import keras
import numpy as np
from keras import ops

from lrlearn.configurable import Configurable

_CACHE_LINE = 16  # of float32


class UpdateRule(Configurable):
    r"""A learned update rule: pure functions of `(theta, features, state)`.

    A rule turns gradients $g_s$ into parameter updates in three stages,

    $$c_s, u_{s+1} = \mathrm{observe}(g_s, u_s), \qquad
      x_s, a_{s+1} = \mathrm{features}(g_s, w_s, c_s, a_s), \qquad
      d_s, h_{s+1} = \mathrm{direction}_\theta(x_s, h_s), \qquad
      w_{s+1} = w_s + d_s.$$

    The first alone looks at whole tensors; the others take each coordinate by itself,
    so that they run on any number of tensors at once, or on a part of one. Only the
    last depends on `theta`; meta-training differentiates it alone. A rule holds no
    variables: `theta` and the state are arguments, so the same functions serve
    `LearnedOptimizer`, `MetaTrainer` and every Keras backend.

    Coordinates are laid out along the last axis (`[features, n]`, `[units, n]`):
    on a CPU this is the fast layout. All computation is in float32.

    Subclasses implement `num_features`, `init_theta`, `init_accumulators`,
    `init_memory`, `features`, `direction` and `get_config`; those that look at whole
    tensors also `init_statistics` and `observe`.

    Attributes:
        backends: Names of the Keras backends that the rule runs on; all that train
            models by default.
    """

    backends = ("tensorflow", "jax", "torch")

    @property
    def num_features(self):
        """Number of inputs of `direction` for each coordinate."""
        raise NotImplementedError

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
        """Returns the state of `observe`.

        Args:
            shapes: The tensors' shapes, a list of tuples.

        Returns:
            A dict of `[k, m]` tensors, by default empty. The states of several tensors
            stand side by side along the last axis.
        """
        return {}

    def observe(self, gradient, statistics, step, shapes):
        """Returns the context of each coordinate: features of the tensor that it is in.

        Args:
            gradient: Float32 tensor `[n]`: the tensors' coordinates one after another.
            statistics: What `init_statistics` or the last call returned.
            step: Number of this step, from 1.
            shapes: The tensors' shapes, a list of tuples.

        Returns:
            A tuple `(context, statistics)`; `context` is a dict of `[k, n]` tensors,
            by default empty.
        """
        return {}, statistics

    def init_accumulators(self, n):
        """Returns the state of `features`, `[k, n]` each; coordinates start alike."""
        raise NotImplementedError

    def init_memory(self, n):
        """Returns the state of `direction`, `[k, n]` each; coordinates start alike."""
        raise NotImplementedError

    def features(self, gradient, parameter, context, accumulators, step):
        """Returns the rule's inputs.

        Args:
            gradient: Float32 tensor `[n]`.
            parameter: Float32 tensor `[n]`.
            context: What `observe` returned.
            accumulators: What `init_accumulators` or the last call returned.
            step: Number of this step, from 1.

        Returns:
            A tuple `(x, accumulators)` with `x` of shape `[num_features, n]`.
        """
        raise NotImplementedError

    def direction(self, theta, x, memory):
        """Returns the parameter update, the only part that depends on `theta`.

        Args:
            theta: A dict like that of `init_theta`.
            x: Float32 tensor `[num_features, n]`.
            memory: What `init_memory` or the last call returned.

        Returns:
            A tuple `(d, memory)`; `d` of shape `[n]` is added to the parameter.
        """
        raise NotImplementedError

    def initial_state(self, shapes):
        """Returns the whole state for tensors of these shapes, or a vector's size."""
        n, shapes = _sizes(shapes)
        return {
            "statistics": self.init_statistics(shapes),
            "accumulators": self.init_accumulators(n),
            "memory": self.init_memory(n),
        }

    def update(
        self,
        theta,
        gradient,
        parameter,
        state,
        step,
        shapes=None,
        *,
        blockwise=None,
        return_features=False,
    ):
        """Takes one step of the rule, for flat coordinates.

        Args:
            theta: A dict like that of `init_theta`.
            gradient: Tensor `[n]`, of any float type.
            parameter: Tensor `[n]`, of any float type.
            state: What `initial_state` or the last call returned.
            step: Number of this step, from 1.
            shapes: The shapes of the tensors that the coordinates are of, a list of
                tuples. Defaults to `None`: a single vector.
            blockwise: Function `(fn, g, w, context, state)` that returns what
                `fn(g, w, context, state)` would, from one call for each block of
                coordinates. Defaults to one call for all.
            return_features: Whether to return the inputs of `direction`, too. Defaults
                to `False`.

        Returns:
            A tuple `(d, state)` or `(d, state, x)`; `d` of shape `[n]`, float32, is
            added to the parameter.
        """
        g, w = ops.cast(gradient, "float32"), ops.cast(parameter, "float32")
        theta, state = keras.tree.map_structure(ops.convert_to_tensor, (theta, state))
        _, shapes = _sizes(g.shape[0] if shapes is None else shapes)
        context, statistics = self.observe(g, state["statistics"], step, shapes)

        def each_coordinate(g, w, context, state):
            x, accumulators = self.features(g, w, context, state["accumulators"], step)
            d, memory = self.direction(theta, x, state["memory"])
            state = {"accumulators": accumulators, "memory": memory}
            return (d, state, x) if return_features else (d, state)

        state = {name: state[name] for name in ("accumulators", "memory")}
        blockwise = blockwise or (lambda function, *arguments: function(*arguments))
        d, state, *x = blockwise(each_coordinate, g, w, context, state)
        return d, {"statistics": statistics, **state}, *x

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


def _sizes(shapes):
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
