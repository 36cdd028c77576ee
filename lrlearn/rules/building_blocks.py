"""Parts of update rules: features, updates and untrained weights."""

import math

import numpy as np
from keras import ops

P = 10.0
MOMENTUM, SECOND_MOMENT = 0.9, 0.99
_LARGEST = 1e18  # its square still is a float32
_LARGEST_TO_SUM = 1e14  # and so is the sum of 1e10 such squares


def bound(g, to_sum=False):
    """Returns `g` clipped so that its squares, or their sum, are finite in float32.

    NaN stays NaN, which XLA's own clipping makes a number of.
    """
    largest = _LARGEST_TO_SUM if to_sum else _LARGEST
    return ops.where(ops.isnan(g), g, ops.clip(g, -largest, largest))


def inverse_sqrt(v):
    r"""Returns $1/\sqrt v$ of a positive `v`, at least 1e-38.

    As $\sqrt{1/v}$: of a reciprocal square root XLA makes slow code on CPUs. An epsilon
    must be in `v`: the gradient of $1/(\sqrt v + \epsilon)$ at 0 is NaN.
    """
    return ops.sqrt(1.0 / v)


def clip(x, largest):
    """Returns features `[inputs, ...]` clipped to plus and minus `largest`."""
    return ops.clip(x, -largest, largest)


def clip_rows(x, largest):
    """Returns what `clip` returns, row by row; see `written_out`."""
    return ops.stack([clip(row, largest) for row in ops.unstack(x, x.shape[0])])


def log_and_sign(g, p=P):
    r"""Returns magnitude and sign of a gradient as two well-scaled numbers.

    $$(\log|g|/p,\ \mathrm{sgn}\,g) \text{ if } |g| \ge e^{-p},
      \qquad (-1,\ e^p g) \text{ otherwise.}$$

    Args:
        g: Float32 tensor.
        p: Gradients below $e^{-p}$ count as small. Defaults to `10`.

    Returns:
        A tuple of two tensors shaped like `g`.

    Reference:
        [Andrychowicz et al., 2016](https://arxiv.org/abs/1606.04474), appendix A.

    Example:
        >>> import numpy as np
        >>> from lrlearn.rules import building_blocks
        >>> log, sign = building_blocks.log_and_sign(np.float32([1.0, 0.0]))
        >>> [float(x) for x in log], [float(x) for x in sign]
        ([0.0, -1.0], [1.0, 0.0])
    """
    smallest = math.exp(-p)
    log = ops.log(ops.maximum(ops.abs(g), smallest)) / p
    return log, ops.clip(g / smallest, -1.0, 1.0)


def normalized(g, accumulators, step):
    r"""Returns Adam's direction and the gradient in units of its own scale.

    With bias-corrected moments $m$ (decay 0.9) and $v$ (decay 0.99):
    $\hat m = m/\sqrt{v + 10^{-12}}$, $\hat g = g/\sqrt{v + 10^{-12}}$.

    Args:
        g: Float32 tensor.
        accumulators: A dict of the raw moments `"m"` and `"v"`, shaped like `g`.
        step: Number of this step, from 1.

    Returns:
        A tuple `(m_hat, g_hat, accumulators)`.
    """
    m = MOMENTUM * accumulators["m"] + (1.0 - MOMENTUM) * g
    v = SECOND_MOMENT * accumulators["v"] + (1.0 - SECOND_MOMENT) * ops.square(g)
    scale = inverse_sqrt(v * bias_correction(SECOND_MOMENT, step) + 1e-12)
    m_hat = m * bias_correction(MOMENTUM, step) * scale
    return m_hat, g * scale, {"m": m, "v": v}


def bias_correction(decay, step):
    """Returns the factor of a moving average that started from zero, as in Adam."""
    return 1.0 / (1.0 - ops.power(decay, ops.cast(step, "float32")))


def adam_like(u, log_step, log_decay, w):
    r"""Returns an update with a learned step size and a learned decay.

    $$d = -0.01\,e^{\mathrm{clip}(2 o_1, -5, 2.5)}\,u
          - 0.0003\,e^{\mathrm{clip}(2 o_2, -6, 4)}\,w.$$

    Args:
        u: Tensor `[n]`, about as large as Adam's direction.
        log_step: Tensor `[n]`, $o_1$.
        log_decay: Tensor `[n]`, $o_2$.
        w: Tensor `[n]`, the parameter.
    """
    step = 0.01 * ops.exp(ops.clip(2.0 * log_step, -5.0, 2.5))
    decay = 0.0003 * ops.exp(ops.clip(2.0 * log_decay, -6.0, 4.0))
    return -step * u - decay * w


def products(kernel, x, bias, activation=None):
    r"""Returns $f(K x + b)$ for features of any number of coordinates.

    Args:
        kernel: $K$, `[outputs, inputs]`.
        x: Features, `[inputs, ...]`.
        bias: $b$, which broadcasts to `[outputs, ...]`.
        activation: $f$, a function of a tensor. Defaults to the identity.

    Returns:
        A tensor `[outputs, ...]`.

    Example:
        >>> import numpy as np
        >>> from lrlearn.rules import building_blocks
        >>> kernel, x = np.float32([[1, 2], [3, 4]]), np.float32([[1], [1]])
        >>> building_blocks.products(kernel, x, 0.5).numpy().tolist()
        [[3.5], [7.5]]
    """
    flat = ops.matmul(kernel, ops.reshape(x, (x.shape[0], math.prod(x.shape[1:]))))
    y = ops.reshape(flat, (kernel.shape[0], *x.shape[1:])) + bias
    return activation(y) if activation else y


def written_out(kernel, x, bias, activation=None):
    """Returns what `products` returns, each output as a sum of scaled inputs.

    XLA makes one loop of these sums and all that their inputs are computed from, in
    which nothing is written to memory; of a matrix product it does not.
    """
    outputs, inputs = kernel.shape
    scalars = [ops.unstack(row, inputs) for row in ops.unstack(kernel, outputs)]
    features, biases = ops.unstack(x, inputs), ops.unstack(bias, outputs)
    y = [
        sum(k * feature for k, feature in zip(ks, features, strict=True)) + b
        for ks, b in zip(scalars, biases, strict=True)
    ]
    return ops.stack([activation(row) for row in y] if activation else y)


def init_network(shapes, seed, head_scale=0.1):
    """Returns untrained weights: Glorot kernels, zero biases, small output layers.

    Args:
        shapes: Dict of names, such as `"head/kernel"` and `"head/bias"`, to shapes.
        seed: Integer seed.
        head_scale: Factor of the kernels of output layers, whose names end with
            `"head/kernel"`. Defaults to `0.1`.
    """
    rng, theta = np.random.default_rng(seed), {}
    for name, (outputs, inputs) in shapes.items():
        value = np.zeros((outputs, inputs))
        if not name.endswith("/bias"):
            limit = np.sqrt(6 / (inputs + outputs))
            value = rng.uniform(-limit, limit, (outputs, inputs))
        theta[name] = value * (head_scale if name.endswith("head/kernel") else 1.0)
    return {name: value.astype("float32") for name, value in theta.items()}
