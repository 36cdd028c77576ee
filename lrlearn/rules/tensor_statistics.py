"""Moments of gradients, and coordinates in units that do not depend on their scale."""

import math

from keras import ops

from lrlearn.rules.building_blocks import bias_correction, inverse_sqrt

MOMENTA = (0.9, 0.99)
SECOND_MOMENT = 0.99
NUM_FEATURES = 8
_EPSILON = 1e-16
_LONGEST_ROW = 512
_FEW = 4096  # fewer operations are then faster than fewer copies


def zeros(n):
    """Returns the moments of `n` coordinates before the first step."""
    return {
        "m": ops.zeros((len(MOMENTA), n), "float32"),
        "v": ops.zeros((1, n), "float32"),
    }


def average(g, moments):
    """Returns the new moments.

    Args:
        g: Gradient, float32 `[n]`.
        moments: What `zeros` or the last call returned.
    """
    m = [decay * moments["m"][i] + (1.0 - decay) * g for i, decay in enumerate(MOMENTA)]
    v = SECOND_MOMENT * moments["v"][0] + (1.0 - SECOND_MOMENT) * ops.square(g)
    return {"m": ops.stack(m), "v": v[None]}


def unbiased(moments, step):
    r"""Returns moments corrected for their start from zero.

    Args:
        moments: What `average` returned.
        step: Number of this step, from 1.

    Returns:
        A list of $m_{0.9}$, $m_{0.99}$ and $v$, `[n]` each.
    """
    # One by one: TensorFlow multiplies a matrix by a column several times slower.
    m = [
        moments["m"][i] * bias_correction(decay, step)
        for i, decay in enumerate(MOMENTA)
    ]
    v = moments["v"][0] * bias_correction(SECOND_MOMENT, step) + _EPSILON
    return [*m, v]


class TensorStatistics:
    r"""What is computed from the moments of tensors of one kind.

    With $m_\beta$ the momenta (decays $\beta$ = 0.9, 0.99) and $v$ the second moment
    (decay 0.99), all corrected for bias, $a_\beta = m_\beta/\sqrt v$ is Adam's
    direction. Coordinates are a group's, `[c, rows, columns]`, see `TensorGroups`.

    Args:
        g: Gradient, float32 `[c, rows, columns]`.
        w: Parameter, `[c, rows, columns]`.
        moments: What `unbiased` returned, for this group.

    Attributes:
        a: $a_{0.9}$, `[c, rows, columns]`.
        w: The parameter, `[c, rows, columns]`.
    """

    def __init__(self, g, w, moments):
        self.w, self._g = w, g
        self._m, self._m_slow, self._v = moments
        self._scale, self._log_v = inverse_sqrt(self._v), ops.log(self._v)
        self.a, self._a_slow = self._m * self._scale, self._m_slow * self._scale

    def means(self):
        r"""Returns means over each tensor, `[9, c]`.

        They are of the squares of $w$, $a_{0.9}$, $a_{0.99}$, $m_{0.9}$, $m_{0.99}$ and
        $g$, of $m_{0.9} g$, of $\log v$, and of the square of $\bar a$, the mean of
        $a_{0.9}$ over a unit's inputs.
        """
        squared = (self.w, self.a, self._a_slow, self._m, self._m_slow, self._g)
        of = [*(ops.square(x) for x in squared), self._m * self._g, self._log_v]
        found = means(of)
        if self.a.shape[1] == 1:
            return ops.concatenate([found, found[1:2]])
        of_units = ops.mean(ops.square(ops.mean(self.a, axis=1)), axis=1)
        return ops.concatenate([found, of_units[None]])

    def features(self, scales):
        r"""Returns what the rule sees of each coordinate, `[8, c, rows, columns]`.

        $a_{0.9}$, $a_{0.99}$ and $g/\sqrt v$; $m_{0.9}$, $g$ and $w$, each over its
        $\mathrm{rms}$; $m_{0.9}/\sqrt{v_f}$ with Adafactor's $v_f$; $\log v$ less its
        mean.

        Args:
            scales: $\mathrm{rms}$ of $m_{0.9}$, $g$ and $w$, and the mean of $\log v$,
                `[4, c]`.
        """
        m_rms, g_rms, w_rms, mean_log_v = ops.unstack(of_all(scales), 4)
        x = [
            self.a,
            self._a_slow,
            self._g * self._scale,
            self._m / m_rms,
            self._g / g_rms,
            self.w / w_rms,
            self._m * inverse_sqrt(self._factored()),
            self._log_v - mean_log_v,
        ]
        return ops.stack(x)

    def _factored(self):
        """Returns Adafactor's second moment, from averages of `v`, shaped like it."""
        if self._v.shape[1] == 1:
            return self._v
        rows = means([self._v[:, :, None]])[0]
        columns = ops.mean(self._v, axis=1)
        v_f = (rows / ops.mean(rows, axis=1, keepdims=True))[:, :, None]
        # Less than what is added to v is 0 in float32, if entries differ that much.
        return ops.maximum(v_f * columns[:, None], _EPSILON)


def rms(x):
    """Returns the root of the mean square over the last two axes, positive."""
    return root(means([ops.square(x)])[0])


def root(square):
    """Returns the root of a mean of squares, positive."""
    return ops.sqrt(square + 1e-20)


def means(xs):
    """Returns means over the last two axes of tensors of one shape, stacked.

    Rows are summed by a product with ones: XLA makes one loop of it and what `x` is
    computed from, but writes to memory what a plain sum is of.
    """
    *lead, rows, columns = xs[0].shape
    length = columns * _rows_together(rows, columns)
    shape, ones = (*lead, rows * columns // length, length), ops.ones((length,))
    if math.prod(shape) < _FEW:
        sums = ops.matmul(ops.reshape(ops.stack(xs), (len(xs), *shape)), ones)
    else:
        sums = ops.stack([ops.matmul(ops.reshape(x, shape), ones) for x in xs])
    return ops.sum(sums, axis=-1) / (rows * columns)


def _rows_together(rows, columns):
    """Returns how many rows are summed as one, as loops over few numbers are slow."""
    most = max(1, _LONGEST_ROW // columns)
    return max(k for k in range(1, most + 1) if rows % k == 0)


def of_all(x):
    """Returns numbers of tensors, `[..., c]`, as factors of their coordinates."""
    return x[..., None, None]
