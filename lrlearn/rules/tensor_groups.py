"""Tensors of equal shapes, side by side."""

import itertools
import math
from typing import NamedTuple

import keras
from keras import ops

from lrlearn.rules.factored import as_matrix
from lrlearn.vectors import split


class Kind(NamedTuple):
    """What tensors of a group have in common.

    Attributes:
        rows: Number of inputs of a unit, 1 for a vector.
        columns: Number of units.
        is_matrix: Whether a tensor has more than one axis.
    """

    rows: int
    columns: int
    is_matrix: bool


class TensorGroups:
    """Flat coordinates of several tensors, as groups of tensors of one `Kind`.

    A group is a tensor `[..., c, rows, columns]` of its c tensors as matrices: a deep
    network has many tensors, but few shapes, and a graph's size is that of its groups.

    Args:
        shapes: The tensors' shapes, a list of tuples; empty tensors are in no group.

    Attributes:
        counts: How many tensors each group has, a list of integers.
        kinds: The `Kind` of each tensor, group by group, a list.

    Example:
        >>> import numpy as np
        >>> from lrlearn.rules.tensor_groups import TensorGroups
        >>> groups = TensorGroups([(2, 3), (3,), (2, 3)])
        >>> matrices, vectors = groups.split(np.arange(15))
        >>> tuple(matrices.shape), tuple(vectors.shape)
        ((2, 2, 3), (1, 1, 3))
        >>> groups.join([matrices, vectors]).shape
        TensorShape([15])
    """

    def __init__(self, shapes):
        self._sizes = [math.prod(shape) for shape in shapes]
        self._starts = [0, *itertools.accumulate(self._sizes)]
        self._members = {}
        for index, shape in enumerate(shapes):
            if self._sizes[index]:
                kind = Kind(*as_matrix(shape), len(shape) > 1)
                self._members.setdefault(kind, []).append(index)
        self.counts = [len(members) for members in self._members.values()]
        self.kinds = [kind for kind, members in self._members.items() for _ in members]

    @property
    def order(self):
        """Indices of the tensors, group by group; empty ones are last.

        In this order groups are split and joined without copies.
        """
        empty = [index for index, size in enumerate(self._sizes) if not size]
        return [index for group in self._members.values() for index in group] + empty

    def split(self, x):
        """Returns the groups of a tensor `[..., n]`, a list."""
        lead = tuple(x.shape[:-1])
        return [
            ops.reshape(
                self._coordinates(x, members),
                (*lead, len(members), kind.rows, kind.columns),
            )
            for kind, members in self._members.items()
        ]

    def _coordinates(self, x, members):
        """Returns the coordinates of some tensors of one size."""
        size = self._sizes[members[0]]
        starts = [self._starts[index] for index in members]
        if starts[-1] - starts[0] == size * (len(members) - 1):
            return x[..., starts[0] : starts[-1] + size]
        return ops.concatenate([x[..., s : s + size] for s in starts], axis=-1)

    def split_structure(self, structure):
        """Returns the structures of the groups of a structure of tensors, a list."""
        leaves = [self.split(x) for x in keras.tree.flatten(structure)]
        return [
            keras.tree.pack_sequence_as(structure, [leaf[i] for leaf in leaves])
            for i in range(len(self._members))
        ]

    def join(self, groups):
        """Returns the tensor `[..., n]` of its groups."""
        flat = [
            ops.reshape(x, (*x.shape[:-3], math.prod(x.shape[-3:]))) for x in groups
        ]
        if self.order == sorted(self.order):
            return ops.concatenate(flat, axis=-1)
        parts = {}
        for members, group in zip(self._members.values(), flat, strict=True):
            sizes = [self._sizes[index] for index in members]
            parts |= dict(zip(members, split(group, sizes), strict=True))
        return ops.concatenate([parts[index] for index in sorted(parts)], axis=-1)

    def join_structure(self, structures):
        """Returns the structure of tensors `[..., n]`, given those of the groups."""
        return keras.tree.map_structure(lambda *groups: self.join(groups), *structures)
