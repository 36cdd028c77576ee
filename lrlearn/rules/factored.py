"""Second moments of whole tensors, by row and by column."""

import math

from keras import ops

from lrlearn.vectors import split


def init(shapes):
    """Returns the second moments of `shapes`, a list of tuples, before any gradient."""
    matrices = [as_matrix(shape) for shape in shapes]
    return {
        "rows": ops.zeros((1, sum(map(_num_rows, matrices))), "float32"),
        "columns": ops.zeros((1, sum(columns for _, columns in matrices)), "float32"),
    }


def second_moment(g, statistics, shapes, decay):
    r"""Returns Adafactor's estimate of the second moment of every coordinate.

    With $r_i$ and $c_j$ the moving averages of the means of $g^2$ over each row and
    over each column of a tensor,

    $$v_{ij} = r_i c_j / \bar r.$$

    For a vector, a single row, this is the plain moving average.

    Args:
        g: Float32 tensor `[n]`: the tensors' coordinates one after another.
        statistics: What `init` or the last call returned.
        shapes: The tensors' shapes, a list of tuples.
        decay: Of the moving averages.

    Returns:
        A tuple `(v, statistics)` with `v` of shape `[n]`, not corrected for bias.

    Reference:
        [Shazeer & Stern, 2018](https://arxiv.org/abs/1804.04235), section 3.

    Example:
        >>> import numpy as np
        >>> from lrlearn.rules import factored
        >>> shapes = [(2, 3)]
        >>> g = np.float32([1, 2, 3, 2, 4, 6])
        >>> v, _ = factored.second_moment(g, factored.init(shapes), shapes, decay=0.0)
        >>> v.numpy().tolist()  # exact for a g of rank 1
        [1.0, 4.0, 9.0, 4.0, 16.0, 36.0]
    """
    matrices = [as_matrix(shape) for shape in shapes]
    sizes = [rows * columns for rows, columns in matrices]
    squares = [
        ops.reshape(part, matrix)
        for part, matrix in zip(split(ops.square(g), sizes), matrices, strict=True)
    ]
    rows, columns = (
        decay * statistics[name] + (1.0 - decay) * ops.concatenate(means)[None]
        for name, means in (
            ("rows", [_row_means(square) for square in squares]),
            ("columns", [_column_means(square) for square in squares]),
        )
    )
    v = [
        ops.reshape(_outer(r, c), (-1,))
        for r, c in zip(
            split(rows[0], [_num_rows(matrix) for matrix in matrices]),
            split(columns[0], [columns for _, columns in matrices]),
            strict=True,
        )
    ]
    return ops.concatenate(v), {"rows": rows, "columns": columns}


def as_matrix(shape):
    """Returns `(rows, columns)` of a tensor seen as a matrix: the last axis is kept."""
    if math.prod(shape) == 0:
        return 1, 0  # no rows of which to take the mean
    return math.prod(shape[:-1]), shape[-1] if shape else 1


def _num_rows(matrix):
    """Returns the number of row averages; a single row needs none."""
    return matrix[0] if matrix[0] > 1 else 0


def _row_means(square):
    if _num_rows(square.shape):
        # A product is faster than a mean, in a graph and under XLA.
        ones = ops.ones((square.shape[1],), "float32")
        return ops.matmul(square, ones) / square.shape[1]
    return ops.zeros((0,), "float32")


def _column_means(square):
    return ops.mean(square, axis=0) if square.shape[0] > 1 else square[0]


def _outer(r, c):
    if r.shape[0] == 0:
        return c
    # The ratio first: a product of second moments may overflow.
    return (r / ops.maximum(ops.mean(r), 1e-30))[:, None] * c[None]
