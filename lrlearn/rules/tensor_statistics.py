"""Moments of gradients, and one tensor's in units that do not depend on its scale."""

import math

import numpy as np
from keras import ops

from lrlearn.rules import factored
from lrlearn.rules.building_blocks import bias_correction, bound

MOMENTA = (0.9, 0.99)
SECOND_MOMENT = 0.99
NUM_FEATURES = 8
NUM_CONTEXT = 16
_EPSILON = 1e-16
_LARGEST = 5.0
_A, _A_SLOW, _A_NOW, _M, _G, _W, _M_SLOW, _LOG_V, _V = range(9)


def zeros(n):
    """Returns the moments of `n` coordinates before the first step."""
    return {
        "m": ops.zeros((len(MOMENTA), n), "float32"),
        "v": ops.zeros((1, n), "float32"),
    }


def measure(g, w, moments, step):
    r"""Returns what is known of each coordinate by itself, and the new moments.

    Args:
        g: Gradient, float32 `[n]`.
        w: Parameter, float32 `[n]`.
        moments: What `zeros` or the last call returned.
        step: Number of this step, from 1.

    Returns:
        A tuple `(rows, moments)`. `rows`, `[9, n]`, are $a_{0.9}$, $a_{0.99}$,
        $g/\sqrt v$, $m_{0.9}$, $g$, $w$, $m_{0.99}$, $\log v$ and $v$.
    """
    g = bound(g, to_sum=True)
    m = [decay * moments["m"][i] + (1.0 - decay) * g for i, decay in enumerate(MOMENTA)]
    v = SECOND_MOMENT * moments["v"][0] + (1.0 - SECOND_MOMENT) * ops.square(g)
    moments = {"m": ops.stack(m), "v": v[None]}
    fast, slow = (
        m * bias_correction(decay, step) for m, decay in zip(m, MOMENTA, strict=True)
    )
    v = v * bias_correction(SECOND_MOMENT, step) + _EPSILON
    scale, log_v = ops.rsqrt(v), ops.log(v)
    rows = [fast * scale, slow * scale, g * scale, fast, g, w, slow, log_v, v]
    return ops.stack(rows), moments


class TensorStatistics:
    r"""One tensor's `rows` of `measure`, and what is computed from them.

    With $m_\beta$ the momenta (decays $\beta$ = 0.9, 0.99) and $v$ the second moment
    (decay 0.99), all corrected for bias, $a_\beta = m_\beta/\sqrt v$ is Adam's
    direction. $\mathrm{rms}$ is over the tensor.

    Args:
        shape: The tensor's shape, a tuple; its last axis is that of the outputs.
        rows: Its part of the `rows` of `measure`, `[9, n]`.

    Attributes:
        a: $a_{0.9}$, `[n]`.
        w: The parameter, `[n]`.
        rms: $\mathrm{rms}$ of the first seven rows, `[7]`.
        a_rms: That of the first, $\mathrm{rms}(a_{0.9})$, a scalar.
        coherence: $\kappa = \sqrt f\,\mathrm{rms}(\bar a)/\mathrm{rms}(a)$, a scalar.
            $\bar a$ is the mean of $a$ over a unit's $f$ inputs, so $\kappa$ is about 1
            for a random $a$, and $\sqrt f$ if all weights of a unit move together: with
            inputs of a large mean that shifts the unit a long way. 0 for a vector.
        fan_in: Number of inputs of a unit.
        is_matrix: Whether the tensor has more than one axis.
        size: Number of its coordinates.
    """

    def __init__(self, shape, rows):
        self.fan_in, self._outputs = factored.as_matrix(shape)
        self.is_matrix, self.size = len(shape) > 1, self.fan_in * self._outputs
        self._rows = rows
        self.a, self.w = rows[_A], rows[_W]
        self.rms = rms(rows[:_LOG_V])
        self.a_rms = self.rms[_A]
        self.coherence = self._coherence()

    def features(self):
        r"""Returns what the rule sees of each coordinate, `[8, n]`.

        $a_{0.9}$, $a_{0.99}$ and $g/\sqrt v$; $m_{0.9}$, $g$ and $w$, each over its
        $\mathrm{rms}$; $m_{0.9}/\sqrt{v_f}$ with Adafactor's $v_f$; $\log v$ less its
        mean. All are clipped to $\pm 5$.
        """
        rows, log_v = self._rows, self._rows[_LOG_V]
        x = [
            rows[:_M],
            rows[_M:_M_SLOW] / self.rms[_M:_M_SLOW, None],
            (rows[_M] * ops.rsqrt(self._factored()))[None],
            (log_v - ops.mean(log_v))[None],
        ]
        return ops.clip(ops.concatenate(x), -_LARGEST, _LARGEST)

    def cosine(self):
        """Returns the cosine of momentum and gradient, a scalar."""
        product = ops.mean(self._rows[_M] * self._rows[_G])
        return product / (self.rms[_M] * self.rms[_G])

    def _coherence(self):
        if not self.is_matrix:
            return ops.zeros_like(self.a_rms)
        common = ops.mean(ops.reshape(self.a, (self.fan_in, self._outputs)), axis=0)
        return math.sqrt(self.fan_in) * rms(common) / self.a_rms

    def _factored(self):
        """Returns Adafactor's second moment, from the averages of `v`; `[n]`."""
        v = ops.reshape(self._rows[_V], (self.fan_in, self._outputs))
        rows, columns = ops.mean(v, axis=1), ops.mean(v, axis=0)
        v_f = (rows / ops.mean(rows))[:, None] * columns[None]
        # Less than what is added to v is 0 in float32, if entries differ that much.
        return ops.maximum(ops.reshape(v_f, (-1,)), _EPSILON)


def context(tensors, run, t):
    r"""Returns features of whole tensors and of the run, `[16, tensors]`.

    They are the logarithms of $\mathrm{rms}(w)$ and $\mathrm{rms}(a_\beta)$, the cosine
    of momentum and gradient, the ratio of the momenta, the coherence, the tensor's
    kind, fan-in and size, and how far a `Run` is.

    Args:
        tensors: A list of `TensorStatistics`.
        run: A resolved `Run`.
        t: Number of this step, float32, at most `run.total_steps`.
    """
    rms = ops.stack([tensor.rms for tensor in tensors], axis=1)
    cosine = ops.stack([tensor.cosine() for tensor in tensors])
    coherence = ops.stack([tensor.coherence for tensor in tensors])
    facts = [
        (float(x.is_matrix), math.log(x.fan_in) / 5.0, math.log(x.size) / 8.0)
        for x in tensors
    ]
    of_tensors = [
        ops.log(rms[_W] + 1e-3) / 3.0,
        ops.log(rms[_A] + 1e-3),
        ops.log(rms[_A_SLOW] + 1e-3),
        cosine,
        ops.log(rms[_M] / rms[_M_SLOW] + 1e-3),
        ops.log(1.0 + coherence) / 2.0,
    ]
    of_run = _progress(run, t)[:, None] + ops.zeros_like(rms[:1])
    facts = ops.convert_to_tensor(np.array(facts, "float32").T)
    return ops.concatenate([ops.stack(of_tensors), facts, of_run])


def _progress(run, t):
    """Returns how far a run is and how long it is, `[7]`."""
    progress, log_epochs = t / run.total_steps, ops.log(run.epochs) / 5.0
    return ops.stack(
        [
            2.0 * progress - 1.0,
            ops.log(1.0 - progress + 0.02) / 3.0,
            ops.tanh(t / 10.0),
            ops.tanh(t / 100.0),
            ops.log(run.total_steps) / 7.0 - 1.0,
            log_epochs,
            progress * log_epochs,
        ]
    )


def rms(x):
    """Returns the root of the mean square over the last axis, positive."""
    return ops.sqrt(ops.mean(ops.square(x), axis=-1) + 1e-20)
