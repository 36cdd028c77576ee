"""Second moments of whole tensors, by row and by column."""

import math

from keras import ops


def init(shapes):
    """Returns the second moments of `shapes`, a list of tuples, before any gradient."""
    matrices = [as_matrix(shape) for shape in shapes]
    return {
        "rows": ops.zeros((1, sum(rows for rows, _ in matrices)), "float32"),
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
    squares = [
        ops.reshape(part, matrix)
        for part, matrix in zip(
            _split(ops.square(g), [rows * columns for rows, columns in matrices]),
            matrices,
            strict=True,
        )
    ]
    rows = _average(statistics["rows"], [ops.mean(s, axis=1) for s in squares], decay)
    columns = _average(
        statistics["columns"], [ops.mean(s, axis=0) for s in squares], decay
    )
    v = [
        ops.reshape(_outer(r, c), (-1,))
        for r, c in zip(
            _split(rows[0], [rows for rows, _ in matrices]),
            _split(columns[0], [columns for _, columns in matrices]),
            strict=True,
        )
    ]
    return ops.concatenate(v), {"rows": rows, "columns": columns}


def as_matrix(shape):
    """Returns `(rows, columns)` of a tensor seen as a matrix: the last axis is kept."""
    columns = shape[-1] if shape else 1
    return math.prod(shape[:-1]), columns


def _average(old, parts, decay):
    return decay * old + (1.0 - decay) * ops.concatenate(parts)[None]


def _outer(r, c):
    # The ratio first: a product of second moments may overflow.
    return (r / ops.maximum(ops.mean(r), 1e-30))[:, None] * c[None]


def _split(x, sizes):
    ends = [sum(sizes[: i + 1]) for i in range(len(sizes))]
    return [x[end - size : end] for size, end in zip(sizes, ends, strict=True)]
