"""An update rule for all tensors of a model together."""

import math

import keras
import numpy as np
from keras import ops

from lrlearn.optimizers.blocks import Blocks
from lrlearn.optimizers.guard import guarded
from lrlearn.rules import CoordinatewiseRule
from lrlearn.rules.tensor_groups import TensorGroups
from lrlearn.vectors import flatten, split


class FlatRule:
    """An update rule for several tensors, as a pure function of lists of them.

    The tensors' coordinates stand one after another, so a few large operations replace
    many small ones for each tensor; tensors of one shape are neighbours. A
    `CoordinatewiseRule` may take them in blocks.

    Args:
        rule: An `UpdateRule`.
        shapes: The tensors' shapes, a list of tuples.
        for_xla: Whether XLA will compile `update`. Defaults to `False`.
        guard: Whether updates are bounded, see `guarded`. Defaults to `False`.
    """

    def __init__(self, rule, shapes, for_xla=False, guard=False):
        self._rule = rule.for_xla() if for_xla else rule
        shapes = [tuple(shape) for shape in shapes]
        self._order = TensorGroups(shapes).order
        self._shapes = self._sorted(shapes)
        self._groups = TensorGroups(self._shapes)
        self._guard = guard and bool(self._groups.kinds)
        self._sizes = [math.prod(shape) for shape in self._shapes]
        self._n = sum(self._sizes)
        in_blocks = isinstance(rule, CoordinatewiseRule) and rule.in_blocks
        self._blocks = Blocks(self._n) if in_blocks else None
        self._structure = rule.initial_state(1)
        _check_statistics(rule, self._structure, self._initial())

    def initial_leaves(self):
        """Returns `{path: leaf}` of the state before the first step.

        Coordinates start alike, so it is of one of them; `state_shape` is a leaf's own.
        """
        return _leaves(self._initial())

    def state_shape(self, path, leaf):
        """Returns the shape in which a leaf of the state is kept."""
        if path[0] == "statistics":
            return leaf.shape
        return self._rows_shape(leaf.shape[0])

    def update(self, theta, gradients, values, state, step, run):
        """Returns the rule's updates and its new state.

        Args:
            theta: The rule's weights, a dict of tensors.
            gradients: A list of tensors, `None` for tensors that stay as they are.
            values: A list of tensors.
            state: `{path: leaf}`.
            step: Number of this step, from 1.
            run: A `Run`.

        Returns:
            A tuple of a list of float32 tensors, and `{path: leaf}`.
        """
        gradients, values = self._sorted(gradients), self._sorted(values)
        zeros = [np.zeros(shape, "float32") for shape in self._shapes]
        g = flatten(
            zero if g is None else g for g, zero in zip(gradients, zeros, strict=True)
        )
        w = ops.stop_gradient(flatten(values))  # or torch records what follows
        options = {"blockwise": self._in_blocks} if self._blocks else {}
        d, new = self._rule.update(
            theta, g, w, self._pack(state), step, self._shapes, run=run, **options
        )
        if self._guard:
            d = guarded(d, w, self._groups, run, step)
        new = _leaves(new)
        if any(g is None for g in gradients):
            masks = self._masks([g is not None for g in gradients])
            new = {path: ops.where(masks[path], new[path], state[path]) for path in new}
        return self._tensors(d), new

    def _sorted(self, tensors):
        return [tensors[index] for index in self._order]

    def _tensors(self, d):
        """Returns the tensors, in their own order, of flat coordinates."""
        parts = zip(self._order, split(d, self._sizes), self._shapes, strict=True)
        tensors = {index: ops.reshape(part, shape) for index, part, shape in parts}
        return [tensors[index] for index in range(len(tensors))]

    def _in_blocks(self, fn, g, w, context, state):
        """Calls `fn` block by block, see `CoordinatewiseRule`; `state` is in blocks."""
        to_blocks = self._blocks.split
        context = keras.tree.map_structure(to_blocks, context)
        blocks = to_blocks(g), to_blocks(w), context, state
        d, state = self._blocks.map(lambda block: fn(*block), blocks)
        return self._blocks.join(d), state

    def _initial(self):
        statistics = self._rule.init_statistics(self._shapes)
        return self._rule.initial_state(1) | {"statistics": statistics}

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
            for path in _leaves(self._structure)
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
