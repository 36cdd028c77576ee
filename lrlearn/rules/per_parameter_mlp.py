"""The per-parameter MLP update rule."""

import copy

import numpy as np
from keras import ops
from keras.saving import register_keras_serializable

from lrlearn.checks import check_count
from lrlearn.rules import factored
from lrlearn.rules.building_blocks import (
    SECOND_MOMENT,
    P,
    adam_like,
    bias_correction,
    bound,
    init_network,
    inverse_sqrt,
    log_and_sign,
    products,
    written_out,
)
from lrlearn.rules.coordinatewise_rule import CoordinatewiseRule

_DECAYS = (0.5, 0.9, 0.99)
_TIME_SCALES = (10.0, 100.0, 1000.0)
_EPSILON = 1e-12
_LARGEST_RATIO = 10.0
_SMALLEST = float(np.finfo("float32").tiny)  # less may be 0, whose log is not finite


@register_keras_serializable(package="lrlearn")
class PerParameterMLP(CoordinatewiseRule):
    r"""A small MLP, with shared weights, that looks at each parameter's statistics.

    Its memory is in its features, not in the network: four moving averages a parameter
    and Adafactor's row and column averages a tensor. It costs a fraction of an LSTM.
    With $m_\beta$ the momenta (decays $\beta$ = 0.5, 0.9, 0.99), $v$ the
    second moment (decay 0.99), all corrected for bias, and $v_f$ Adafactor's second
    moment, the inputs $x$ are

    - $\hat m_\beta = m_\beta/\sqrt v$, $\hat g = g/\sqrt v$, and
      $g/\sqrt{v_f}$ clipped to $\pm 10$;
    - $\log(v/v_f)/p$ with $p = 10$: the parameter's scale within its tensor;
    - $\log|g|/p$ (at least $-1$);
    - $1 - \hat m_{0.99}^2$: the part of $v$ that is noise;
    - the parameter's value $w$;
    - $\tanh(t/\tau)$ of the step $t$ for $\tau$ = 10, 100, 1000, and the progress
      $\min(t/\mathrm{horizon}, 1)$.

    A hidden layer gives $o = W_2\,\mathrm{relu}(W_1 x + b_1) + b_2$, and
    $u = \hat m_{0.9} + o_0$ is the direction, $o_1$ the log-magnitude and $o_2$ the
    log-decay of the update

    $$d = -0.01\,e^{\mathrm{clip}(2 o_1, -5, 2.5)}\,u
          - 0.0003\,e^{\mathrm{clip}(2 o_2, -6, 4)}\,w.$$

    Args:
        units: Size of the hidden layer. Defaults to `8`.
        horizon: Step at which the progress is 1; the longest run in meta-training is
            a good choice. Defaults to `1000`.

    Raises:
        ValueError: If an argument is not positive.

    Reference:
        [Metz et al., 2020](https://arxiv.org/abs/2009.11243), appendix;
        [Harrison et al., 2022](https://arxiv.org/abs/2209.11208), section 4 (the
        nominal Adam term).

    Example:
        >>> import numpy as np
        >>> import lrlearn
        >>> rule = lrlearn.rules.PerParameterMLP()
        >>> theta, state = rule.init_theta(seed=0), rule.initial_state([(3, 2), (2,)])
        >>> g, w = np.ones(8), np.zeros(8)
        >>> d, state = rule.update(theta, g, w, state, step=1, shapes=[(3, 2), (2,)])
        >>> d.shape
        TensorShape([8])
    """

    num_features = 13
    in_blocks = False

    def __init__(self, units=8, horizon=1000):
        self.units = check_count("units", units)
        self.horizon = check_count("horizon", horizon)
        self._dense = products

    def theta_shapes(self):
        """See `UpdateRule`."""
        return {
            "hidden/kernel": (self.units, self.num_features),
            "hidden/bias": (self.units, 1),
            "head/kernel": (3, self.units),
            "head/bias": (3, 1),
        }

    def init_theta(self, seed=0):
        """See `UpdateRule`: Glorot kernels, a small output layer."""
        return init_network(self.theta_shapes(), seed)

    def init_statistics(self, shapes):
        """See `UpdateRule`: Adafactor's row and column averages."""
        return factored.init(shapes)

    def observe(self, gradient, statistics, step, shapes):
        """See `CoordinatewiseRule`: Adafactor's second moment."""
        g, decay = bound(gradient, to_sum=True), SECOND_MOMENT
        v, statistics = factored.second_moment(g, statistics, shapes, decay)
        return {"v": v[None] * bias_correction(decay, step)}, statistics

    def init_accumulators(self, n):
        """See `CoordinatewiseRule`: three momenta and a second moment."""
        return {
            "m": ops.zeros((len(_DECAYS), n), "float32"),
            "v": ops.zeros((1, n), "float32"),
        }

    def init_memory(self, n):
        """See `CoordinatewiseRule`: none."""
        return {}

    def features(self, gradient, parameter, context, accumulators, step):
        """See `CoordinatewiseRule`."""
        g, m, v = bound(gradient), accumulators["m"], accumulators["v"][0]
        # One by one: TensorFlow multiplies a matrix by a column several times slower.
        m = [decay * m[i] + (1.0 - decay) * g for i, decay in enumerate(_DECAYS)]
        v = SECOND_MOMENT * v + (1.0 - SECOND_MOMENT) * ops.square(g)
        accumulators = {"m": ops.stack(m), "v": v[None]}
        v = v * bias_correction(SECOND_MOMENT, step) + _EPSILON
        v_f = context["v"][0] + _EPSILON
        scale = inverse_sqrt(v)
        m_hat = [
            m * (bias_correction(decay, step) * scale)
            for m, decay in zip(m, _DECAYS, strict=True)
        ]
        x = [
            *m_hat,
            g * scale,
            ops.clip(g * inverse_sqrt(v_f), -_LARGEST_RATIO, _LARGEST_RATIO),
            ops.log(ops.maximum(v / v_f, _SMALLEST)) / P,
            log_and_sign(g)[0],
            1.0 - ops.square(m_hat[-1]),
            parameter,
            *(t + ops.zeros_like(g) for t in self._time(step)),
        ]
        return ops.stack(x), accumulators

    def direction(self, theta, x, memory):
        """See `CoordinatewiseRule`."""
        hidden = self._dense(theta["hidden/kernel"], x, theta["hidden/bias"], ops.relu)
        o = self._dense(theta["head/kernel"], hidden, theta["head/bias"])
        direction, log_step, log_decay = ops.unstack(o, 3)
        m_hat, w = x[1], x[8]
        return adam_like(m_hat + direction, log_step, log_decay, w), memory

    def for_xla(self):
        """See `UpdateRule`."""
        rule = copy.copy(self)
        rule._dense, rule.by_tensor = written_out, True
        return rule

    def get_config(self):
        """See `UpdateRule`."""
        return {"units": self.units, "horizon": self.horizon}

    def _time(self, step):
        t = ops.cast(step, "float32")
        return [
            *(ops.tanh(t / scale) for scale in _TIME_SCALES),
            ops.minimum(t / self.horizon, 1.0),
        ]
