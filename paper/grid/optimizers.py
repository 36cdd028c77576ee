"""The optimizers of the grid: hand-designed ones with their trials, learned ones."""

import dataclasses
import itertools
from collections.abc import Callable

import keras
import tensorflow as tf

import lrlearn
from lrlearn.regularizers import GAM, GSAM, L2, SAM

EMA_MOMENTUM = 0.99
_OPTIMIZERS_OWN = ("learning_rate", "weight_decay")
_RADIUS_NAMES = ("rho", "rho_perturb")
_RADII = (0.003, 0.01, 0.03, 0.1, 0.2, 0.5, 1.0, 2.0)
_ADAM_RATES = (3e-5, 0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1)
_SGD_RATES = (0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
_LEARNED_RATES = (0.03, 0.1, 0.3, 0.5, 1.0, 1.5, 2.0, 3.0)
_DIAL = (0.0, 0.01, 0.02, 0.035, 0.05, 0.075, 0.1, 0.2)
DIAL = (0.0, 0.02, 0.05, 0.1, 0.2)  # settings that are shown


class LinearDecay(keras.optimizers.schedules.LearningRateSchedule):
    r"""A learning rate that falls to 0: $\eta_t = \eta_0 (1 - t / T)$.

    Attributes:
        peak: $\eta_0$, a variable, so that one graph serves all rates.
        steps: Number $T$ of steps, a variable.
    """

    def __init__(self):
        self.peak, self.steps = tf.Variable(0.0), tf.Variable(1.0)

    def __call__(self, step):
        """Returns the learning rate of a step, counted from 0."""
        return self.peak * (1.0 - tf.cast(step, "float32") / self.steps)


@dataclasses.dataclass(frozen=True)
class Tuned:
    """A hand-designed optimizer; every one that is tuned gets as many trials.

    Attributes:
        kind: `"baseline"`, `"explicit"` for a regularizer around the best of `BASES`,
            with that one's learning rate, or `"untuned"`.
        trials: Hyperparameters to choose from, dicts; a single one is not tuned.
        optimizer: A Keras optimizer's class, or a function like it; `None` if explicit.
        fixed: Arguments of the optimizer that are not tuned.
        decay: Whether the learning rate falls linearly to 0.
        regularizer: Function without arguments that returns a `Regularizer`, whose
            radii are then set; `None` for baselines.
        start_fraction: Fraction of the steps that come before the regularizer.
        passes: Gradients of a regularized step.
    """

    kind: str
    trials: tuple
    optimizer: Callable | None = None
    fixed: dict = dataclasses.field(default_factory=dict)
    decay: bool = False
    regularizer: Callable | None = None
    start_fraction: float = 0.0
    passes: int = 1

    def make(self, hyperparameters):
        """Returns a Keras optimizer; of the hyperparameters it takes its own."""
        own = {k: v for k, v in hyperparameters.items() if k in _OPTIMIZERS_OWN}
        if self.decay:
            own["learning_rate"] = LinearDecay()
        return self.optimizer(**self.fixed, **own)

    def describe(self):
        """Returns what determines its runs besides the trials, as JSON types."""
        if self.regularizer is None:
            decay = {"decay": "linear"} if self.decay else {}
            return {"optimizer": self.optimizer.__name__, **self.fixed, **decay}
        regularizer = self.regularizer()
        config = regularizer.get_config()
        return {
            "regularizer": type(regularizer).__name__,
            **{k: v for k, v in config.items() if k not in _RADIUS_NAMES},
            "start_fraction": self.start_fraction,
        }

    def gradients(self, step, steps):
        """Returns the gradient evaluations of the first `step` of `steps` steps."""
        plain = min(step, self.start(steps))
        return plain + self.passes * (step - plain)

    def start(self, steps):
        """Returns the number of steps without the regularizer."""
        return round(self.start_fraction * steps)


@dataclasses.dataclass(frozen=True)
class Learned:
    """A learned optimizer.

    Attributes:
        rule: `"MLP"` or `"LSTM"`.
        teacher: Name in `TEACHERS`.
        trials: Hyperparameters to choose from, dicts: a `learning_rate`, which
            multiplies its steps, or a setting `rho` of its dial. A single one is not
            tuned. Defaults to its own.
    """

    rule: str
    teacher: str
    trials: tuple = ({},)

    @property
    def source(self):
        """The name of the one that it has its weights from, as it is by default."""
        return f"{self.rule} {self.teacher}"

    @property
    def preset(self):
        """The name of the preset that is meta-trained likewise."""
        prefix = {"MLP": "lo", "LSTM": "lo_lstm"}[self.rule]
        return f"{prefix}_{self.teacher.lower().replace('-', '_')}"

    @property
    def kind(self):
        """What it is, as of `Tuned`."""
        return "learned"

    def gradients(self, step, steps):
        """Returns the gradient evaluations of the first `step` of `steps` steps."""
        return step

    def start(self, steps):
        """Returns the number of steps without a regularizer that come before others."""
        return 0


def _rates(*values):
    return tuple({"learning_rate": value} for value in values)


def _baseline(optimizer, rates, decay=False, **fixed):
    return Tuned("baseline", _rates(*rates), optimizer, fixed, decay)


def _adam_w(decay=False):
    # Keras multiplies the decay of the weights by the learning rate.
    trials = itertools.product((0.0003, 0.001, 0.003, 0.01), (0.1, 1.0))
    names = "learning_rate", "weight_decay"
    trials = tuple(dict(zip(names, values, strict=True)) for values in trials)
    return Tuned("baseline", trials, keras.optimizers.AdamW, decay=decay)


def _explicit(regularizer, passes, start_fraction=0.0):
    return Tuned(
        "explicit",
        tuple({"rho": rho} for rho in _RADII),
        regularizer=regularizer,
        start_fraction=start_fraction,
        passes=passes,
    )


def untrained(learning_rate, units):
    """Returns the MLP rule as a Keras optimizer, before meta-training."""
    rule = lrlearn.rules.ScheduledMLP(units)
    return lrlearn.LearnedOptimizer(rule, rule.init_theta(0), learning_rate)


BASES = ("SGD-M", "Adam", "SGD-M linear", "Adam linear")
TUNED = {
    "SGD-M": _baseline(keras.optimizers.SGD, _SGD_RATES, momentum=0.9),
    "Adam": _baseline(keras.optimizers.Adam, _ADAM_RATES),
    "RMSprop": _baseline(keras.optimizers.RMSprop, _ADAM_RATES),
    "Adam-EMA": _baseline(
        keras.optimizers.Adam, _ADAM_RATES, use_ema=True, ema_momentum=EMA_MOMENTUM
    ),
    "AdamW": _adam_w(),
    "SGD-M linear": _baseline(keras.optimizers.SGD, _SGD_RATES, True, momentum=0.9),
    "Adam linear": _baseline(keras.optimizers.Adam, _ADAM_RATES, True),
    "AdamW linear": _adam_w(decay=True),
    # Keras's default, and what meta-training starts from.
    "Adam default": Tuned("untuned", _rates(0.001), keras.optimizers.Adam),
    "untrained": Tuned("untuned", _rates(1.0), untrained, {"units": 8}),
    "SAM": _explicit(SAM, 2),
    "GSAM": _explicit(GSAM, 2),
    "GAM": _explicit(lambda: GAM(variant="released"), 4),
    "late SAM": _explicit(SAM, 2, start_fraction=0.875),
}
# Strengths for a dial of 1. L2 and held-out are controls: is it flatness, or small
# weights, or unseen data?
TEACHERS = {
    "none": None,
    "SAM": SAM(1.0, relative=True),
    "GSAM": GSAM(1.0, relative=True),
    "GAM": GAM(0.3, 0.3, relative=True),
    "L2": L2(0.15),
    "held-out": None,
}
# Of the dial that a teacher has, by epochs; chosen by `paper.checks.dial_default`.
DEFAULT_RHO = {
    "SAM": ((20, 0.0), (100, 0.1)),
    "GSAM": ((10, 0.0), (100, 0.075)),
    "GAM": ((10, 0.0), (50, 0.2)),
    "L2": ((10, 0.0), (50, 0.1)),
}
RULES = ("MLP", "LSTM")


def _learned():
    """Returns the learned optimizers by name: as they are, dials turned, and tuned."""
    for rule, teacher in itertools.product(RULES, TEACHERS):
        yield f"{rule} {teacher}", Learned(rule, teacher)
    for teacher, rho in itertools.product(("SAM", "L2"), DIAL):
        yield f"MLP {teacher} {rho:g}", Learned("MLP", teacher, ({"rho": rho},))
    yield "MLP none tuned", Learned("MLP", "none", _rates(*_LEARNED_RATES))
    dial = tuple({"rho": rho} for rho in _DIAL)
    yield "MLP SAM tuned", Learned("MLP", "SAM", dial)


LEARNED = dict(_learned())
OPTIMIZERS = {**TUNED, **LEARNED}


def set_radius(regularizer, radius):
    """Sets all radii of a SAM, GSAM or GAM to one tensor or variable."""
    for name in _RADIUS_NAMES:
        if hasattr(regularizer, name):
            setattr(regularizer, name, radius)
