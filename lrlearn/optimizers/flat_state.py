"""An update rule's state for all variables of a model together."""

import functools
import math

import keras
import numpy as np
from keras import ops

from lrlearn.optimizers.blocks import Blocks


class FlatState:
    """The rule's state for several tensors, kept and updated as one.

    The tensors' coordinates stand one after another, cut into blocks; a few large
    operations then do what would take many small ones for each tensor.

    Args:
        rule: An `UpdateRule`.
        shapes: The tensors' shapes, a list of tuples.
        add_variable: `keras.optimizers.Optimizer.add_variable`.
    """

    def __init__(self, rule, shapes, add_variable):
        self._rule, self._shapes = rule, [tuple(shape) for shape in shapes]
        self._sizes = [math.prod(shape) for shape in shapes]
        self._blocks = Blocks(sum(self._sizes))
        self._structure = rule.initial_state(0)
        leaves = keras.tree.flatten_with_path(self._initial())
        self._paths = [path for path, _ in leaves]
        self._variables = [
            add_variable(
                leaf.shape,
                # Keras calls it where variables can be made, also inside a graph.
                initializer=functools.partial(self._initial_leaf, i),
                dtype="float32",
                name="_".join(map(str, path)),
            )
            for i, (path, leaf) in enumerate(leaves)
        ]

    def update(self, theta, gradients, values, step, assign):
        """Runs the rule, and assigns its new state.

        Args:
            theta: The rule's weights, a dict of tensors.
            gradients: A list of tensors, `None` for tensors that stay as they are.
            values: A list of tensors.
            step: Number of this step, from 1.
            assign: `keras.optimizers.Optimizer.assign`.

        Returns:
            The rule's updates, a list of float32 tensors.
        """
        zeros = [np.zeros(shape, "float32") for shape in self._shapes]
        g = _flatten(
            zero if g is None else g for g, zero in zip(gradients, zeros, strict=True)
        )
        w = ops.stop_gradient(_flatten(values))  # or torch records what follows
        old = [ops.cast(v, "float32") for v in self._variables]
        d, new = self._run(theta, g, w, self._pack(old), step)
        new = keras.tree.flatten(new)
        if any(g is None for g in gradients):
            masks = self._masks([g is not None for g in gradients])
            new = [ops.where(*leaves) for leaves in zip(masks, new, old, strict=True)]
        for variable, value in zip(self._variables, new, strict=True):
            assign(variable, value)
        ends = np.cumsum(self._sizes)
        return [
            ops.reshape(d[end - size : end], shape)
            for end, size, shape in zip(ends, self._sizes, self._shapes, strict=True)
        ]

    def _run(self, theta, g, w, state, step):
        """Returns `(d, state)`: the rule on flat `g` and `w`, block by block."""

        def move(block):
            return self._rule.move(theta, *block, step)

        split, state = self._blocks.split, dict(state)
        context, statistics = self._rule.observe(
            g, state.pop("statistics"), step, self._shapes
        )
        context = keras.tree.map_structure(split, context)
        d, state = self._blocks.map(move, (split(g), split(w), context, state))
        return self._blocks.join(d), {"statistics": statistics, **state}

    def _initial(self):
        state = self._rule.initial_state(self._shapes)
        statistics = state.pop("statistics")
        state = keras.tree.map_structure(self._blocks.split, state)
        return {"statistics": statistics, **state}

    def _initial_leaf(self, i, shape, dtype=None):
        return keras.tree.flatten(self._initial())[i]

    def _pack(self, leaves):
        return keras.tree.pack_sequence_as(self._structure, leaves)

    def _masks(self, present):
        """Returns bools like each variable: whether an entry's tensor is present."""
        coordinates = np.zeros(self._blocks.number * self._blocks.size, bool)
        coordinates[: self._blocks.n] = np.repeat(present, self._sizes)
        coordinates = coordinates.reshape(self._blocks.number, 1, self._blocks.size)
        each = [
            dict(keras.tree.flatten_with_path(self._rule.initial_state([shape])))
            for shape in self._shapes
        ]
        return [
            np.repeat(present, [leaves[path].shape[-1] for leaves in each])[None]
            if path[0] == "statistics"
            else coordinates
            for path in self._paths
        ]


def _flatten(tensors):
    return ops.concatenate(
        [ops.reshape(ops.cast(t, "float32"), (-1,)) for t in tensors]
    )
