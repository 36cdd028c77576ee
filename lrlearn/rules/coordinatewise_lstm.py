"""The coordinatewise LSTM update rule."""

import math
from numbers import Real

from keras import ops
from keras.saving import register_keras_serializable

from lrlearn.rules import lstm
from lrlearn.rules.building_blocks import (
    adam_like,
    bound,
    init_network,
    log_and_sign,
    normalized,
)
from lrlearn.rules.coordinatewise_rule import CoordinatewiseRule

_FEATURES = ("log", "normalized")
_OUTPUTS = ("scaled", "adam")


@register_keras_serializable(package="lrlearn")
class CoordinatewiseLSTM(CoordinatewiseRule):
    r"""A small LSTM, with shared weights, run on every coordinate separately.

    The inputs $x$ of a coordinate are, with `features="log"`, those of the paper,
    `(log|g|/p, sign(g))`; `features="normalized"` adds
    $\hat m = m/\sqrt v$, $\hat g = g/\sqrt v$ (Adam's moments, bias-corrected) and the
    parameter's value $w$. The last layer's $o = W h + b$ gives the update:

    - `output="scaled"`: $d = s\,o$ with $s$ = `output_scale`, as in the paper;
    - `output="adam"` (needs `"normalized"`): an Adam-like direction with a learned
      log-step, and a learned decay,
      $d = -0.01\,e^{\mathrm{clip}(2 o_1, -5, 2.5)} (\hat m + o_0 \hat g)
           - 0.0003\,e^{\mathrm{clip}(2 o_2, -6, 4)} w$.

    Args:
        units: Sizes of the LSTM layers. Defaults to `(20, 20)`.
        features: `"log"` or `"normalized"`. Defaults to `"log"`.
        output: `"scaled"` or `"adam"`. Defaults to `"scaled"`.
        output_scale: Scale of the `"scaled"` output. Defaults to `0.1`.

    Raises:
        ValueError: If an argument is not one of these.

    Reference:
        [Andrychowicz et al., 2016](https://arxiv.org/abs/1606.04474), section 2.1 and
        appendix A.

    Example:
        >>> import numpy as np
        >>> import lrlearn
        >>> rule = lrlearn.rules.CoordinatewiseLSTM(units=(20, 20))
        >>> theta, state = rule.init_theta(seed=0), rule.initial_state(3)
        >>> g, w = np.array([0.1, 0.0, -2.0]), np.array([1.0, 1.0, 1.0])
        >>> d, state = rule.update(theta, g, w, state, step=1)
        >>> d.shape
        TensorShape([3])
    """

    def __init__(
        self, units=(20, 20), features="log", output="scaled", output_scale=0.1
    ):
        finite = isinstance(output_scale, Real) and math.isfinite(output_scale)
        for name, value, valid, rule in (
            ("features", features, features in _FEATURES, f"one of {_FEATURES}"),
            ("output", output, output in _OUTPUTS, f"one of {_OUTPUTS}"),
            ("output_scale", output_scale, finite, "a finite number"),
        ):
            if not valid:
                raise ValueError(f"`{name}` must be {rule}. Received: {name}={value!r}")
        if output == "adam" and features != "normalized":
            raise ValueError(
                f'`output="adam"` needs `features="normalized"`. Received: {features=}'
            )
        self.units = lstm.check_units(units)
        self.feature_set = features
        self.output = output
        self.output_scale = output_scale

    @property
    def num_features(self):
        """See `CoordinatewiseRule`."""
        return 2 if self.feature_set == "log" else 5

    def theta_shapes(self):
        """See `UpdateRule`."""
        shapes = lstm.shapes(self.units, self.num_features)
        outputs = 1 if self.output == "scaled" else 3
        shapes["head/kernel"] = outputs, self.units[-1]
        return shapes | {"head/bias": (outputs, 1)}

    def init_theta(self, seed=0):
        """See `UpdateRule`: Glorot kernels, forget biases 1, a small output layer."""
        theta = init_network(self.theta_shapes(), seed)
        return lstm.open_forget_gates(theta, self.units)

    def init_accumulators(self, n):
        """See `CoordinatewiseRule`: Adam's moments if the features need them."""
        names = ("m", "v") if self.feature_set == "normalized" else ()
        return {name: ops.zeros((1, n), "float32") for name in names}

    def init_memory(self, n):
        """See `CoordinatewiseRule`: hidden and cell state of each layer."""
        return lstm.init_memory(self.units, n)

    def features(self, gradient, parameter, context, accumulators, step):
        """See `CoordinatewiseRule`."""
        g, w = bound(gradient)[None], parameter[None]
        log_sign = log_and_sign(g)
        if self.feature_set == "log":
            return ops.concatenate(log_sign, axis=0), accumulators
        m_hat, g_hat, accumulators = normalized(g, accumulators, step)
        return ops.concatenate([m_hat, g_hat, w, *log_sign], axis=0), accumulators

    def direction(self, theta, x, memory):
        """See `CoordinatewiseRule`."""
        hidden, new_memory = lstm.step(theta, x, memory)
        o = ops.matmul(theta["head/kernel"], hidden) + theta["head/bias"]
        if self.output == "scaled":
            return self.output_scale * o[0], new_memory
        m_hat, g_hat, w = x[0], x[1], x[2]
        o, log_step, log_decay = ops.unstack(o, 3)
        return adam_like(m_hat + o * g_hat, log_step, log_decay, w), new_memory

    def get_config(self):
        """See `UpdateRule`."""
        return {
            "units": list(self.units),
            "features": self.feature_set,
            "output": self.output,
            "output_scale": self.output_scale,
        }
