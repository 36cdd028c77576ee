"""An update rule's state for all variables of a model together."""

import functools
import math

import keras
import numpy as np
from keras import ops

from lrlearn.optimizers.blocks import Blocks
from lrlearn.rules import CoordinatewiseRule
from lrlearn.vectors import flatten, split


class FlatState:
    """The rule's state for several tensors, kept and updated as one.

    The tensors' coordinates stand one after another, so a few large operations replace
    many small ones for each tensor. A `CoordinatewiseRule` takes them in blocks.

    Args:
        rule: An `UpdateRule`.
        shapes: The tensors' shapes, a list of tuples.
        add_variable: `keras.optimizers.Optimizer.add_variable`.
    """

    def __init__(self, rule, shapes, add_variable):
        self._rule, self._shapes = rule, [tuple(shape) for shape in shapes]
        self._sizes = [math.prod(shape) for shape in shapes]
        self._n = sum(self._sizes)
        in_blocks = isinstance(rule, CoordinatewiseRule)
        self._blocks = Blocks(self._n) if in_blocks else None
        self._structure = rule.initial_state(1)
        _check_statistics(rule, self._structure, self._initial())
        # In the order of the paths, so that one backend's files fit another.
        self._variables = {
            path: add_variable(
                self._leaf_shape(path, leaf),
                # A function, since Keras calls it outside of graphs.
                initializer=functools.partial(self._initial_leaf, path),
                dtype="float32",
                name="_".join(map(str, path)),
            )
            for path, leaf in sorted(_leaves(self._initial()).items())
        }

    def update(self, theta, gradients, values, step, run, assign):
        """Runs the rule, and assigns its new state.

        Args:
            theta: The rule's weights, a dict of tensors.
            gradients: A list of tensors, `None` for tensors that stay as they are.
            values: A list of tensors.
            step: Number of this step, from 1.
            run: A `Run`.
            assign: `keras.optimizers.Optimizer.assign`.

        Returns:
            The rule's updates, a list of float32 tensors.
        """
        zeros = [np.zeros(shape, "float32") for shape in self._shapes]
        g = flatten(
            zero if g is None else g for g, zero in zip(gradients, zeros, strict=True)
        )
        w = ops.stop_gradient(flatten(values))  # or torch records what follows
        old = {path: ops.cast(v, "float32") for path, v in self._variables.items()}
        options = {"blockwise": self._in_blocks} if self._blocks else {}
        d, new = self._rule.update(
            theta, g, w, self._pack(old), step, self._shapes, run=run, **options
        )
        new = _leaves(new)
        if any(g is None for g in gradients):
            masks = self._masks([g is not None for g in gradients])
            new = {path: ops.where(masks[path], new[path], old[path]) for path in new}
        for path, variable in self._variables.items():
            assign(variable, new[path])
        parts = zip(split(d, self._sizes), self._shapes, strict=True)
        return [ops.reshape(part, shape) for part, shape in parts]

    def _in_blocks(self, fn, g, w, context, state):
        """Calls `fn` block by block, see `CoordinatewiseRule`; `state` is in blocks."""
        to_blocks = self._blocks.split
        context = keras.tree.map_structure(to_blocks, context)
        blocks = to_blocks(g), to_blocks(w), context, state
        d, state = self._blocks.map(lambda block: fn(*block), blocks)
        return self._blocks.join(d), state

    def _initial(self):
        """Returns the initial state; coordinates start alike, so it is of one."""
        statistics = self._rule.init_statistics(self._shapes)
        return self._rule.initial_state(1) | {"statistics": statistics}

    def _initial_leaf(self, path, shape, dtype=None):
        return ops.zeros(shape, dtype) + _leaves(self._initial())[path]

    def _leaf_shape(self, path, leaf):
        if path[0] == "statistics":
            return leaf.shape
        return self._rows_shape(leaf.shape[0])

    def _rows_shape(self, rows):
        """Returns the shape in which some rows of all coordinates are kept."""
        if self._blocks is None:
            return rows, self._n
        return self._blocks.number, rows, self._blocks.size

    def _pack(self, leaves):
        in_order = [leaves[path] for path in _leaves(self._structure)]
        return keras.tree.pack_sequence_as(self._structure, in_order)

    def _masks(self, present):
        """Returns bools like the state: whether an entry's tensor is present."""
        shape = self._rows_shape(1)
        coordinates = np.zeros(math.prod(shape), bool)
        coordinates[: self._n] = np.repeat(present, self._sizes)
        coordinates = coordinates.reshape(shape)
        each = [self._rule.init_statistics([shape]) for shape in self._shapes]
        return {
            path: np.repeat(present, [u[path[-1]].shape[-1] for u in each])[None]
            if path[0] == "statistics"
            else coordinates
            for path in self._variables
        }


def _check_statistics(rule, state, initial):
    """Raises a `ValueError` if a rule has other statistics in its two methods."""
    found = [sorted(each["statistics"]) for each in (state, initial)]
    if found[0] != found[1]:
        raise ValueError(
            f"`init_statistics` of {type(rule).__name__} must have the statistics of "
            f"`initial_state`, {found[0]}. Received: {found[1]}"
        )


def _leaves(state):
    """Returns `{path: leaf}`; in which order is up to the backend."""
    return dict(keras.tree.flatten_with_path(state))
