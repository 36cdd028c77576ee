"""The optimizers of the grid: hand-designed ones with their trials, learned ones."""

import dataclasses
import itertools
from collections.abc import Callable

import keras

import lrlearn

EMA_MOMENTUM = 0.99
_OPTIMIZERS_OWN = ("learning_rate", "weight_decay")
_RADIUS_NAMES = ("rho", "rho_perturb")
_RADII = (0.01, 0.03, 0.1, 0.2, 0.5, 1.0)
_ADAM_RATES = (0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03)


@dataclasses.dataclass(frozen=True)
class Tuned:
    """A hand-designed optimizer; every one gets as many trials.

    Attributes:
        kind: `"baseline"`, or `"explicit"` for a regularizer around the better of
            `BASES`, with that one's learning rate.
        trials: Hyperparameters to choose from, dicts.
        optimizer: A Keras optimizer's class; `None` where explicit.
        fixed: Arguments of the optimizer that are not tuned.
        regularizer: Function without arguments that returns a `Regularizer`, whose
            radii are then set; `None` for baselines.
        start_fraction: Fraction of the steps that come before the regularizer.
        passes: Gradients of a regularized step.
    """

    kind: str
    trials: tuple
    optimizer: type | None = None
    fixed: dict = dataclasses.field(default_factory=dict)
    regularizer: Callable | None = None
    start_fraction: float = 0.0
    passes: int = 1

    def make(self, hyperparameters):
        """Returns a Keras optimizer; of the hyperparameters it takes its own."""
        own = {k: v for k, v in hyperparameters.items() if k in _OPTIMIZERS_OWN}
        return self.optimizer(**self.fixed, **own)

    def describe(self):
        """Returns what determines its runs besides the trials, as JSON types."""
        if self.regularizer is None:
            return {"optimizer": self.optimizer.__name__, **self.fixed}
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
        rule: `"LSTM"` or `"MLP"`.
        teacher: Name in `TEACHERS`.
    """

    rule: str
    teacher: str
    kind: str = "learned"

    def gradients(self, step, steps):
        """Returns the gradient evaluations of the first `step` of `steps` steps."""
        return step


def _rates(*rates):
    return tuple({"learning_rate": rate} for rate in rates)


def _explicit(regularizer, passes, start_fraction=0.0):
    return Tuned(
        "explicit",
        tuple({"rho": rho} for rho in _RADII),
        regularizer=regularizer,
        start_fraction=start_fraction,
        passes=passes,
    )


BASES = ("SGD-M", "Adam")
TUNED = {
    "SGD-M": Tuned(
        "baseline",
        _rates(0.001, 0.003, 0.01, 0.03, 0.1, 0.3),
        keras.optimizers.SGD,
        {"momentum": 0.9},
    ),
    "Adam": Tuned("baseline", _rates(*_ADAM_RATES), keras.optimizers.Adam),
    "RMSprop": Tuned("baseline", _rates(*_ADAM_RATES), keras.optimizers.RMSprop),
    "Adam-EMA": Tuned(
        "baseline",
        _rates(*_ADAM_RATES),
        keras.optimizers.Adam,
        {"use_ema": True, "ema_momentum": EMA_MOMENTUM},
    ),
    # Keras multiplies the decay by the learning rate.
    "AdamW": Tuned(
        "baseline",
        tuple(
            {"learning_rate": rate, "weight_decay": decay}
            for rate, decay in itertools.product((0.001, 0.003, 0.01), (0.1, 1.0))
        ),
        keras.optimizers.AdamW,
    ),
    "SAM": _explicit(lrlearn.regularizers.SAM, 2),
    "GSAM": _explicit(lrlearn.regularizers.GSAM, 2),
    "GAM": _explicit(lambda: lrlearn.regularizers.GAM(variant="released"), 4),
    "late SAM": _explicit(lrlearn.regularizers.SAM, 2, start_fraction=0.875),
}
# The controls tell what a teacher of flatness adds to a teacher of small weights, and
# to one that sees other data.
TEACHERS = {
    "none": None,
    "SAM": lrlearn.regularizers.SAM(0.3),
    "GSAM": lrlearn.regularizers.GSAM(0.3),
    "GAM": lrlearn.regularizers.GAM(0.1, 0.1, variant="released"),
    "L2": lrlearn.regularizers.L2(3e-3),
    "held-out": None,
}
RULES = ("LSTM", "MLP")
LEARNED = {
    f"{rule} {teacher}": Learned(rule, teacher)
    for rule in RULES
    for teacher in TEACHERS
}
OPTIMIZERS = {**TUNED, **LEARNED}


def set_radius(regularizer, radius):
    """Sets all radii of a SAM, GSAM or GAM to one tensor or variable."""
    for name in _RADIUS_NAMES:
        if hasattr(regularizer, name):
            setattr(regularizer, name, radius)
