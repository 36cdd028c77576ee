"""The interface of update rules with a learned schedule."""

import keras
import numpy as np
from keras import ops

from lrlearn.rules import tensor_statistics
from lrlearn.rules.building_blocks import bound, clip, init_network
from lrlearn.rules.run import DialDefault, Run
from lrlearn.rules.tensor_context import NUM_CONTEXT, TensorContext
from lrlearn.rules.tensor_groups import TensorGroups
from lrlearn.rules.tensor_statistics import (
    TensorStatistics,
    average,
    of_all,
    rms,
    unbiased,
)
from lrlearn.rules.update_rule import UpdateRule, size_and_shapes
from lrlearn.vectors import split

_NUM_DIAL = 2
_HIDDEN = 16
_STEP, _DECAY = 0.003, 0.1
_WARM_UP = 0.06
_COHERENCE = 8.0
_NOMINAL_FAN_IN = 784
_LARGEST = 5.0
_FAN_IN_FACTORS = 0.05, 2.5


class ScheduledRule(UpdateRule):
    r"""An update rule that is told how long the run is, and learns its schedule.

    For each tensor at step $t$ of $T$, with its fan-in $f$, Adam's direction $a$, the
    coherence $\kappa$ and further statistics (see `TensorStatistics`), one network
    gives a direction, normalized over the tensor,

    $$u = \frac{a}{\mathrm{rms}(a)} + o_\theta(x, z), \qquad
      \hat u = \sqrt{\min(\mathrm{rms}(a), 1) + 10^{-3}}\;
        \frac{u}{\mathrm{rms}(u)},$$

    and another the tensor's step size and decay,

    $$s, \lambda = \tanh(z^T K_1 + b_1) K_2 + b_2, \qquad
      d = -\eta\,e^{3 s}\,(\hat u + 0.1\,e^{3 \lambda}\,w),$$

    from features $z$ of the tensor and of the run, $x$ of the coordinate. Exponents are
    clipped to $[-6, 4]$. The nominal step

    $$\eta = 0.003\,\mathrm{clip}\left(\tfrac{784}{f}, 0.05, 2.5\right)
      \left(1 - \tfrac{t}{T} + \tfrac{1}{T}\right)
      \min\left(1, \tfrac{t}{0.06\,T}\right)
      \Big/ \max\left(1, \tfrac{\kappa}{8}\right)$$

    falls with the width as in muP, and over the run; a vector has no factor of width.
    Output layers start as zeros: the untrained rule is Adam, normalized, with this
    schedule, and useful as it is.

    Subclasses implement `direction_shapes`, `direction` and `get_config`; those that
    remember also `init_memory`.

    Args:
        default_rho: The dial's setting unless a user sets it, and so whether the rule
            has a dial: what `Run.rho` is. A number, or pairs of a number of epochs and
            the setting then, as of `DialDefault`. Defaults to `None`, a rule without
            one.

    Attributes:
        num_context: Number of features $z$.

    Reference:
        [Metz et al., 2022](https://arxiv.org/abs/2211.09760), section 3 (features of
        tensors set the schedule); [Yang et al., 2022](https://arxiv.org/abs/2203.03466),
        table 8 (fan-in).
    """

    def __init__(self, default_rho=None):
        self._clip = clip
        self._default = None if default_rho is None else DialDefault(default_rho)
        self.default_rho = self._default and self._default.get_config()
        self.num_context = NUM_CONTEXT + (_NUM_DIAL if self._default else 0)

    @property
    def run_inputs(self):
        """See `UpdateRule`."""
        dial = ("rho",) if self._default else ()
        return "total_steps", "epochs", *dial

    def dial(self, run):
        """See `UpdateRule`: the rule's default if it is not told."""
        if self._default is None:
            return super().dial(run)
        return ops.where(run.rho < 0, self._default(run.epochs), run.rho)

    def init_memory(self, n):
        """Returns the state of `direction`, a dict of `[k, n]`; by default empty."""
        return {}

    def direction_shapes(self):
        """Returns shapes of the weights of `direction`, a dict like `theta_shapes`.

        Its output layer must be named `"head"`, as it starts as zeros.
        """
        raise NotImplementedError

    def direction(self, theta, x, z, memory):
        r"""Returns what the direction differs by from Adam's, for tensors of one shape.

        Args:
            theta: A dict like that of `init_theta`.
            x: Features of coordinates, clipped to $\pm 5$, of c tensors, float32
                `[8, c, rows, columns]`.
            z: Features of the tensors, float32 `[num_context, c]`.
            memory: What `init_memory` or the last call returned, a dict of
                `[k, c, rows, columns]`.

        Returns:
            A tuple `(o, memory)`, `o` of shape `[c, rows, columns]`.
        """
        raise NotImplementedError

    def theta_shapes(self):
        """See `UpdateRule`."""
        return {
            "schedule/kernel": (_HIDDEN, self.num_context),
            "schedule/bias": (_HIDDEN, 1),
            "schedule/head/kernel": (2, _HIDDEN),
            "schedule/head/bias": (2, 1),
            **self.direction_shapes(),
        }

    def init_theta(self, seed=0):
        """See `UpdateRule`: Glorot kernels, output layers of zeros."""
        return init_network(self.theta_shapes(), seed, head_scale=0.0)

    def initial_state(self, shapes):
        """See `UpdateRule`: three numbers a parameter, and the memory."""
        n, _ = size_and_shapes(shapes)
        return {
            "statistics": {},
            "accumulators": tensor_statistics.zeros(n),
            "memory": self.init_memory(n),
        }

    def update(self, theta, gradient, parameter, state, step, shapes=None, *, run=None):
        """See `UpdateRule`."""
        g, w = ops.cast(gradient, "float32"), ops.cast(parameter, "float32")
        theta, state = keras.tree.map_structure(ops.convert_to_tensor, (theta, state))
        _, shapes = size_and_shapes(g.shape[0] if shapes is None else shapes)
        tensors = TensorGroups(shapes)
        if not tensors.kinds:
            return g, state
        run, t = (run or Run()).resolve(step)
        g, w = bound(g, to_sum=True), bound(w, to_sum=True)
        moments = average(g, state["accumulators"])
        parts = tensors.split_structure(
            (g, w, unbiased(moments, step), state["memory"])
        )
        groups = [TensorStatistics(*part[:3]) for part in parts]
        means = ops.concatenate([group.means() for group in groups], axis=1)
        numbers = self._numbers(theta, TensorContext(tensors.kinds, means), run, t)
        of_groups = zip(*(split(x, tensors.counts) for x in numbers), strict=True)
        results = [
            self._step(theta, group, memory, *of_group)
            for group, (*_, memory), of_group in zip(
                groups, parts, of_groups, strict=True
            )
        ]
        d, memory = tensors.join_structure(results)
        return d, {"statistics": {}, "accumulators": moments, "memory": memory}

    def _numbers(self, theta, known, run, t):
        """Returns what `_step` needs of the tensors, each `[..., tensors]`."""
        z = self._context(known, run, t)
        return z, known.scales, *self._schedule(theta, z, known, run, t)

    def _step(self, theta, group, memory, z, scales, a_factor, step_size, decay):
        """Returns the updates of tensors of one shape, and their memory."""
        x = self._clip(group.features(scales), _LARGEST)
        o, memory = self.direction(theta, x, z, memory)
        u = group.a * of_all(a_factor) + o
        d = u * of_all(-step_size / rms(u)) - group.w * of_all(decay)
        return d, memory

    def _context(self, known, run, t):
        """Returns the features z of all tensors, `[num_context, tensors]`."""
        z = known.features(run, t)
        if self._default is None:
            return z
        rho = self.dial(run)
        dial = ops.stack([(ops.log(rho + 0.005) + 3.2) / 1.5, 5.0 * rho])
        dial = dial[:, None] + ops.zeros_like(z[:_NUM_DIAL])
        return ops.concatenate([z, dial], axis=0)

    def _schedule(self, theta, z, known, run, t):
        """Returns the factors of a, the normalized direction and w, `[tensors]`."""
        hidden = ops.matmul(theta["schedule/kernel"], z) + theta["schedule/bias"]
        head = theta["schedule/head/kernel"], theta["schedule/head/bias"]
        log_step, log_decay = ops.unstack(
            ops.matmul(head[0], ops.tanh(hidden)) + head[1], 2
        )
        step_size = _nominal(known, run, t) * _exp(log_step)
        length = ops.sqrt(ops.minimum(known.a_rms, 1.0) + 1e-3)
        decay = step_size * _DECAY * _exp(log_decay)
        return 1.0 / known.a_rms, step_size * length, decay


def _nominal(known, run, t):
    """Returns the nominal step sizes, `[tensors]`."""
    widths = np.array([_width_factor(kind) for kind in known.kinds], "float32")
    done = t / run.total_steps
    schedule = (1.0 - done + 1.0 / run.total_steps) * ops.minimum(done / _WARM_UP, 1.0)
    narrowing = ops.maximum(known.coherence / _COHERENCE, 1.0)
    return _STEP * ops.convert_to_tensor(widths) * schedule / narrowing


def _width_factor(kind):
    least, most = _FAN_IN_FACTORS
    return min(max(_NOMINAL_FAN_IN / kind.rows, least), most) if kind.is_matrix else 1.0


def _exp(log):
    return ops.exp(ops.clip(3.0 * log, -6.0, 4.0))
