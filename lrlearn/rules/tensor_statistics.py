"""One tensor's gradient, in units that do not depend on its scale."""

import math

from keras import ops

from lrlearn.rules import factored
from lrlearn.rules.building_blocks import bias_correction, bound

MOMENTA = (0.9, 0.99)
SECOND_MOMENT = 0.99
NUM_FEATURES = 8
_EPSILON = 1e-16
_LARGEST = 5.0


class TensorStatistics:
    r"""Moments of one tensor's gradient, and what is computed from them.

    With $m_\beta$ the momenta (decays $\beta$ = 0.9, 0.99) and $v$ the second moment
    (decay 0.99), all corrected for bias, $a_\beta = m_\beta/\sqrt v$ is Adam's
    direction. $\mathrm{rms}$ is over the tensor.

    Args:
        shape: The tensor's shape, a tuple; its last axis is that of the outputs.
        g: Its gradient, float32 `[n]`.
        w: Its values, float32 `[n]`.
        moments: The dict of float32 `"m"`, `[2, n]`, and `"v"`, `[1, n]`, that `zeros`
            or the last `moments` returned.
        step: Number of this step, from 1.

    Attributes:
        moments: The moments after this step.
        a: $a_{0.9}$, `[n]`.
        a_rms: $\mathrm{rms}(a_{0.9})$, a scalar.
        coherence: $\kappa = \sqrt f\,\mathrm{rms}(\bar a)/\mathrm{rms}(a)$, a scalar.
            $\bar a$ is the mean of $a$ over a unit's $f$ inputs, so $\kappa$ is about 1
            for a random $a$, and $\sqrt f$ if all weights of a unit move together: with
            inputs of a large mean that shifts the unit a long way. 0 for a vector.
        fan_in: Number of inputs of a unit.
        matrix: Whether the tensor has more than one axis.
        size: Number of its coordinates.
    """

    def __init__(self, shape, g, w, moments, step):
        self.fan_in, outputs = factored.as_matrix(shape)
        self.matrix, self.size = len(shape) > 1, self.fan_in * outputs
        self._outputs = outputs
        self.g, self.w = bound(g, to_sum=True), w
        m = [
            decay * moments["m"][i] + (1.0 - decay) * self.g
            for i, decay in enumerate(MOMENTA)
        ]
        v = SECOND_MOMENT * moments["v"][0] + (1.0 - SECOND_MOMENT) * self.g**2
        self.moments = {"m": ops.stack(m), "v": v[None]}
        self.fast, self.slow = (
            m * bias_correction(decay, step)
            for m, decay in zip(m, MOMENTA, strict=True)
        )
        self._v = v * bias_correction(SECOND_MOMENT, step) + _EPSILON
        self._scale = ops.rsqrt(self._v)
        self.a = self.fast * self._scale
        self.a_rms = rms(self.a)
        self.coherence = self._coherence()

    def context(self, run, t):
        r"""Returns features of the whole tensor and of the run, a list of scalars.

        They are the logarithms of $\mathrm{rms}(w)$ and $\mathrm{rms}(a_\beta)$, the
        cosine of momentum and gradient, the ratio of the momenta, the coherence, the
        tensor's fan-in, size and kind, and how far a `Run` is.

        Args:
            run: A resolved `Run`.
            t: Number of this step, float32, at most `run.total_steps`.
        """
        slow_rms = rms(self.slow * self._scale)
        fast, slow, g = rms(self.fast), rms(self.slow), rms(self.g)
        progress, log_epochs = t / run.total_steps, ops.log(run.epochs) / 5.0
        one = ops.ones_like(progress)
        return [
            ops.log(rms(self.w) + 1e-3) / 3.0,
            ops.log(self.a_rms + 1e-3),
            ops.log(slow_rms + 1e-3),
            ops.mean((self.fast / fast) * (self.g / g)),
            ops.log(fast / slow + 1e-3),
            ops.log(1.0 + self.coherence) / 2.0,
            one * float(self.matrix),
            one * (math.log(self.fan_in) / 5.0),
            one * (math.log(self.size) / 8.0),
            2.0 * progress - 1.0,
            ops.log(1.0 - progress + 0.02) / 3.0,
            ops.tanh(t / 10.0),
            ops.tanh(t / 100.0),
            ops.log(run.total_steps) / 7.0 - 1.0,
            log_epochs,
            progress * log_epochs,
        ]

    def features(self):
        r"""Returns what the rule sees of each coordinate, `[8, n]`.

        $a_{0.9}$, $a_{0.99}$, $g/\sqrt v$, $m_{0.9}$, $g$ and $w$ over their
        $\mathrm{rms}$, $m_{0.9}/\sqrt{v_f}$ with Adafactor's $v_f$, and $\log v$ less
        its mean; all clipped to $\pm 5$.
        """
        log_v = ops.log(self._v)
        x = [
            self.a,
            self.slow * self._scale,
            self.g * self._scale,
            self.fast / rms(self.fast),
            self.g / rms(self.g),
            self.w / rms(self.w),
            self.fast * ops.rsqrt(self._factored()),
            log_v - ops.mean(log_v),
        ]
        return ops.clip(ops.stack(x), -_LARGEST, _LARGEST)

    def _coherence(self):
        if not self.matrix:
            return ops.zeros_like(self.a_rms)
        common = ops.mean(ops.reshape(self.a, (self.fan_in, self._outputs)), axis=0)
        return math.sqrt(self.fan_in) * rms(common) / self.a_rms

    def _factored(self):
        """Returns Adafactor's second moment, from the averages of `v`; `[n]`."""
        v = ops.reshape(self._v, (self.fan_in, self._outputs))
        rows, columns = ops.mean(v, axis=1), ops.mean(v, axis=0)
        v_f = (rows / ops.mean(rows))[:, None] * columns[None]
        # Beside a large gradient in another row and column it would be 0.
        return ops.maximum(ops.reshape(v_f, (-1,)), _EPSILON)


def zeros(n):
    """Returns the moments of `n` coordinates before the first step."""
    return {
        "m": ops.zeros((len(MOMENTA), n), "float32"),
        "v": ops.zeros((1, n), "float32"),
    }


def rms(x):
    """Returns the root of the mean square, positive."""
    return ops.sqrt(ops.mean(ops.square(x)) + 1e-20)
