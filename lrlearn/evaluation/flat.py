"""Functions of a list of parameters as functions of one flat perturbation."""

import ml_dtypes
import tensorflow as tf

from lrlearn.regularizers.gradients import value_and_gradients
from lrlearn.vectors import flatten, norm


class Function:
    """A scalar function around a point, of a perturbation that is one vector `[n]`.

    Args:
        fn: Function of a list of tensors, and of `args`, that returns a scalar. If it
            has an attribute `compute_dtype`, that is the name of the coarsest type in
            which it computes.
        params: List of tensors, the point.
        args: Tuple of further arguments of `fn`. Defaults to `()`.
        adaptive: Whether `fn` sees perturbations multiplied by the magnitudes of the
            parameters, elementwise. Defaults to `False`.

    Attributes:
        dtype: The type of perturbations and values: float64 if all parameters are
            float64, else float32.
        zero: The perturbation 0.
        value: Function of a perturbation that returns the value there.
        value_and_gradient: Function of a perturbation that returns the value and the
            gradient `[n]` there.
    """

    def __init__(self, fn, params, args=(), adaptive=False):
        self._fn, self._params, self._args = fn, params, args
        self.dtype = dtype(params)
        self._types = {self.dtype, *(w.dtype for w in params)}
        if (name := getattr(fn, "compute_dtype", None)) is not None:
            self._types.add(tf.as_dtype(name))
        w = flatten(params, self.dtype)
        self.zero = tf.zeros_like(w)
        self._scale = tf.abs(w) if adaptive else tf.ones([], self.dtype)
        # As functions, each appears once in a graph, however often it is called.
        self.value = tf.function(self._value, autograph=False)
        self.value_and_gradient = tf.function(self.differentiate, autograph=False)

    @property
    def epsilon(self):
        """The machine epsilon of the coarsest type in which values are computed.

        The type that `fn` returns counts after its first call.
        """
        types = [t.as_numpy_dtype for t in self._types if t.is_floating]
        return max(float(ml_dtypes.finfo(t).eps) for t in types)

    def differentiate(self, e):
        """Like `value_and_gradient`, and can be differentiated again."""
        f, gradients = value_and_gradients(self._evaluate, self._at(e))
        return tf.cast(f, self.dtype), self._scale * flatten(gradients, self.dtype)

    def start(self):
        """Returns the value and the gradient `[n]` at 0, and the defect of the point.

        The defect is 0, or NaN if the parameters, the value or the gradient are not
        finite; see `flat.defect`.
        """
        f, g = self.value_and_gradient(self.zero)
        return f, g, defect(f, g, flatten(self._params, self.dtype))

    def hessian_vector_product(self, v):
        """Returns the Hessian at the point, times `v`."""
        _, (product,) = value_and_gradients(
            lambda e: tf.tensordot(self.differentiate(e[0])[1], v, 1), [self.zero]
        )
        return product

    def unflatten(self, e):
        """Returns the perturbation `e` as a list of tensors like the parameters."""
        e = self._scale * e
        pieces = tf.split(e, [w.shape.num_elements() for w in self._params])
        return [
            tf.cast(tf.reshape(piece, w.shape), w.dtype)
            for piece, w in zip(pieces, self._params, strict=True)
        ]

    def _value(self, e):
        return tf.cast(self._evaluate(self._at(e)), self.dtype)

    def _evaluate(self, params):
        f = tf.convert_to_tensor(self._fn(params, *self._args))
        self._types.add(f.dtype)
        return f

    def _at(self, e):
        return [w + d for w, d in zip(self._params, self.unflatten(e), strict=True)]


class HalfSquaredGradient:
    r"""$\|\nabla f\|^2/2$ of a `Function`, with the same methods.

    Unlike $\|\nabla f\|$ it is smooth. Its gradient is a Hessian-vector product.

    Args:
        function: A `Function`.
    """

    def __init__(self, function):
        self.zero = function.zero
        self._function = function
        self.value = tf.function(self._value, autograph=False)
        self.value_and_gradient = tf.function(self._differentiate, autograph=False)

    @property
    def epsilon(self):
        """The machine epsilon of the function."""
        return self._function.epsilon

    def _value(self, e):
        _, g = self._function.differentiate(e)
        return tf.tensordot(g, g, 1) / 2

    def _differentiate(self, e):
        f, (gradient,) = value_and_gradients(lambda e: self._value(e[0]), [e])
        return f, gradient


def dtype(params):
    """Returns the type in which perturbations of `params` are computed."""
    return tf.float64 if all(w.dtype == tf.float64 for w in params) else tf.float32


def as_tensors(params):
    """Returns `params` as a list of tensors; an empty list raises an error."""
    if not isinstance(params, list | tuple) or not params:
        raise ValueError(
            f"`params` must be a list of at least one tensor. Received: {params=}"
        )
    return [tf.convert_to_tensor(w) for w in params]


def is_finite(f, g):
    """Returns whether a value and all of a gradient are finite, a boolean scalar."""
    return tf.math.is_finite(f) & tf.reduce_all(tf.math.is_finite(g))


def defect(*tensors):
    """Returns 0, or NaN if an element is not finite; added to a result it marks it.

    A constant NaN would stop `tf.debugging.enable_check_numerics` on good numbers.
    """
    return sum(
        # The sine of infinity is NaN.
        tf.sin(tf.reduce_sum(tf.where(tf.math.is_finite(t), tf.zeros_like(t), abs(t))))
        for t in tensors
    )


def increase(f0, g0, f, g, e, epsilon):
    r"""Returns $f(e) - f(0)$, accurate even if it is below the rounding errors of $f$.

    A float32 loss near 1 is known to about 1e-7; a radius of 0.001 may add less. The
    trapezoidal rule $(g_0 + g)^T e/2$ subtracts no nearly equal numbers, and is exact
    on quadratics. The result is that rule, clipped to the interval that the plain
    difference and its rounding error allow. If one of the two is not finite, the result
    is the plain difference.

    Args:
        f0: Value at 0, a scalar.
        g0: Gradient at 0, `[n]`.
        f: Value at `e`, a scalar.
        g: Gradient at `e`, `[n]`.
        e: Perturbation `[n]`.
        epsilon: Machine epsilon of the values, see `flat.Function`.

    Example:
        >>> import tensorflow as tf
        >>> from lrlearn.evaluation.flat import increase
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


def project(v, radius):
    """Returns the nearest point to `v` of the ball of `radius` around 0."""
    return v * tf.math.divide_no_nan(radius, tf.maximum(norm(v), radius))
