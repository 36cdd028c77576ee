"""Flat coordinates in blocks that fit into a processor's cache."""

import math

import keras
from keras import ops

from lrlearn.rules.update_rule import aligned

# Small enough for the cache, large enough that starting each operation costs little.
_LARGEST_BLOCK = 30_000


class Blocks:
    """How `n` coordinates are cut into equal blocks.

    Tensors `[k, n]` become `[number, k, size]`; zeros fill the last block.

    Args:
        n: Number of coordinates.
    """

    def __init__(self, n):
        self.n = n
        self.number = max(1, math.ceil(n / _LARGEST_BLOCK))
        self.size = aligned(math.ceil(n / self.number))

    def split(self, x):
        """Returns `[number, size]` of `[n]`, or `[number, k, size]` of `[k, n]`."""
        fill = [[0, 0]] * (len(x.shape) - 1) + [[0, self.number * self.size - self.n]]
        shape = (*x.shape[:-1], self.number, self.size)
        return ops.moveaxis(ops.reshape(ops.pad(x, fill), shape), -2, 0)

    def join(self, x):
        """Returns `[n]` of a tensor `[number, size]`."""
        return ops.reshape(x, (-1,))[: self.n]

    def map(self, function, xs):
        """Returns a function's results for each block, stacked.

        Args:
            function: Function of a nested structure of tensors.
            xs: Nested structure of tensors with the blocks along the first axis.
        """
        if self.number > 1:
            return ops.map(function, xs)
        first = keras.tree.map_structure(lambda x: x[0], xs)
        return keras.tree.map_structure(lambda y: y[None], function(first))
