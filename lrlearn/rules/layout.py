"""How coordinates are laid out in memory."""

_CACHE_LINE = 16  # of float32


def aligned(n):
    """Returns `n` rounded up to whole cache lines of float32.

    Rows of `[units, n]` are then whole cache lines, taken apart without a copy.

    Args:
        n: Number of coordinates.

    Example:
        >>> from lrlearn.rules import layout
        >>> layout.aligned(0), layout.aligned(1), layout.aligned(16)
        (0, 16, 16)
    """
    return -(-n // _CACHE_LINE) * _CACHE_LINE
