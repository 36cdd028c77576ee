"""Functions with known derivatives, to hold regularizers against."""

import numpy as np
import tensorflow as tf
from keras import ops

MODES = {
    "eager": lambda fn: fn,
    "graph": tf.function,
    "xla": lambda fn: tf.function(fn, jit_compile=True),
}


def quadratic(params):
    """The check function of the design, x' diag(1, 10) x / 2, of two scalars."""
    x, y = params
    return 0.5 * x**2 + 5.0 * y**2


def ones():
    return [ops.ones((), "float64"), ops.ones((), "float64")]


def values(tensors):
    """Returns all entries of a list of tensors, flat."""
    return np.concatenate([np.ravel(ops.convert_to_numpy(x)) for x in tensors])


class Convex:
    """mean(softplus(A w)) + |w|^4 / 4 of six parameters: convex, not quadratic.

    `loss`, `gradient` and `hessian` are plain NumPy; `loss_fn` takes parameters split
    over any list of tensors.
    """

    a = np.random.default_rng(0).normal(size=(9, 6))
    w = np.random.default_rng(1).normal(size=6)

    def loss(self, w):
        return np.mean(np.log1p(np.exp(self.a @ w))) + (w @ w) ** 2 / 4

    def gradient(self, w):
        return self.a.T @ self._sigmoid(w) / len(self.a) + (w @ w) * w

    def hessian(self, w):
        s = self._sigmoid(w)
        curvature = self.a.T @ ((s * (1 - s))[:, None] * self.a) / len(self.a)
        return curvature + (w @ w) * np.eye(6) + 2 * np.outer(w, w)

    def _sigmoid(self, w):
        return 1 / (1 + np.exp(-self.a @ w))

    def loss_fn(self, params):
        w = ops.concatenate([ops.reshape(x, (-1,)) for x in params])
        z = ops.matmul(ops.cast(self.a, w.dtype), w[:, None])
        return ops.mean(ops.softplus(z)) + ops.sum(w**2) ** 2 / 4

    def params(self, dtype="float64", shapes=((2,), (1, 2), ())):
        """Returns `w` split over tensors; the last takes what the shapes leave."""
        params, start = [], 0
        for shape in shapes:
            stop = start + int(np.prod(shape))
            params.append(ops.cast(self.w[start:stop].reshape(shape), dtype))
            start = stop
        return [*params, ops.cast(self.w[start:], dtype)] if start < 6 else params


def unit(v):
    return v / np.linalg.norm(v)
