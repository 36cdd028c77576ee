"""Differences of losses, safe from rounding."""

import tensorflow as tf


def increase(f0, g0, f, g, e, epsilon):
    r"""Returns $f(e) - f(0)$, accurate even where it drowns in rounding.

    A float32 loss near 1 is known to about 1e-7, which may be no less than what a
    radius of 0.001 adds to it. The trapezoidal rule $(g_0 + g)^T e/2$ subtracts no
    nearly equal numbers, and is exact on quadratics. It is taken where it lies within
    the rounding error of the plain difference, else what of that is closest to it;
    where one of the two is not finite, the plain difference is.

    Args:
        f0: Value at 0, a scalar.
        g0: Gradient at 0, `[n]`.
        f: Value at `e`, a scalar.
        g: Gradient at `e`, `[n]`.
        e: Perturbation `[n]`.
        epsilon: Machine epsilon of the coarsest type in which the values were computed,
            a number; see `flat.Function`.

    Returns:
        A scalar tensor.

    Example:
        >>> import tensorflow as tf
        >>> from lrlearn.evaluation.increase import increase
        >>> f = lambda e: 100.0 + tf.reduce_sum(e**2)
        >>> zero, e = tf.zeros(1), tf.constant([1e-4])
        >>> float(f(e) - f(zero))
        0.0
        >>> f"{float(increase(f(zero), 0 * e, f(e), 2 * e, e, 1.2e-7)):.2e}"
        '1.00e-08'
    """
    difference = f - f0
    rounding = 8 * epsilon * tf.maximum(tf.abs(f), tf.abs(f0))
    trapezoid = tf.tensordot(g0 + g, e, 1) / 2
    close = tf.clip_by_value(trapezoid, difference - rounding, difference + rounding)
    finite = tf.math.is_finite(difference) & tf.math.is_finite(trapezoid)
    return tf.where(finite, close, difference)
