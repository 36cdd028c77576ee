"""The interface of update rules that take each coordinate by itself."""

import keras
from keras import ops

from lrlearn.rules.tensor_groups import TensorGroups
from lrlearn.rules.update_rule import UpdateRule, size_and_shapes


class CoordinatewiseRule(UpdateRule):
    r"""An update rule that takes each coordinate by itself.

    It turns gradients $g_s$ into parameter updates in three stages,

    $$c_s, u_{s+1} = \mathrm{observe}(g_s, u_s), \qquad
      x_s, a_{s+1} = \mathrm{features}(g_s, w_s, c_s, a_s), \qquad
      d_s, h_{s+1} = \mathrm{direction}_\theta(x_s, h_s).$$

    The first alone looks at whole tensors; the others take each coordinate by itself,
    so that they run on any number of tensors at once, or on a part of one. Only the
    last depends on `theta`; meta-training differentiates it alone.

    Subclasses implement `num_features`, `init_theta`, `init_accumulators`,
    `init_memory`, `features`, `direction` and `get_config`; those that look at whole
    tensors also `init_statistics` and `observe`.

    Attributes:
        in_blocks: Whether an optimizer keeps the state in blocks that fit into a
            processor's cache, which pays if `direction` takes much memory. Defaults to
            `True`.
        by_tensor: Whether `features` and `direction` are called for tensors of one
            shape at a time, with `[..., c, rows, columns]` in place of `[..., n]`: XLA
            makes faster code of that. Defaults to `False`.
    """

    in_blocks = True
    by_tensor = False

    @property
    def num_features(self):
        """Number of inputs of `direction` for each coordinate."""
        raise NotImplementedError

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
        """See `UpdateRule`."""
        n, shapes = size_and_shapes(shapes)
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
        run=None,
        blockwise=None,
        return_features=False,
    ):
        """Takes one step; see `UpdateRule`.

        Args:
            theta: See `UpdateRule`.
            gradient: See `UpdateRule`.
            parameter: See `UpdateRule`.
            state: See `UpdateRule`.
            step: See `UpdateRule`.
            shapes: See `UpdateRule`.
            run: Not used.
            blockwise: Function `(fn, g, w, context, state)` that returns what
                `fn(g, w, context, state)` would, from one call for each block of
                coordinates. Defaults to one call for all.
            return_features: Whether to return the inputs of `direction`, too. Defaults
                to `False`.

        Returns:
            A tuple `(d, state)` or `(d, state, x)`.
        """
        g, w = ops.cast(gradient, "float32"), ops.cast(parameter, "float32")
        theta, state = keras.tree.map_structure(ops.convert_to_tensor, (theta, state))
        _, shapes = size_and_shapes(g.shape[0] if shapes is None else shapes)
        context, statistics = self.observe(g, state["statistics"], step, shapes)

        def each_coordinate(g, w, context, state):
            x, accumulators = self.features(g, w, context, state["accumulators"], step)
            d, memory = self.direction(theta, x, state["memory"])
            state = {"accumulators": accumulators, "memory": memory}
            return (d, state, x) if return_features else (d, state)

        state = {name: state[name] for name in ("accumulators", "memory")}
        blockwise = blockwise or self._blockwise(shapes)
        d, state, *x = blockwise(each_coordinate, g, w, context, state)
        return d, {"statistics": statistics, **state}, *x

    def _blockwise(self, shapes):
        """Returns the function that `update` calls if it is given none."""
        groups = TensorGroups(shapes)
        if not self.by_tensor or not groups.kinds:
            return lambda fn, *arguments: fn(*arguments)

        def group_by_group(fn, *arguments):
            parts = groups.split_structure(arguments)
            return groups.join_structure([fn(*part) for part in parts])

        return group_by_group
