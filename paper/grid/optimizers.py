"""The optimizers of the grid: hand-designed ones with their trials, learned ones."""

import dataclasses
import itertools
from collections.abc import Callable

import keras

from lrlearn.regularizers import GAM, GSAM, L2, SAM

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
        optimizer: A Keras optimizer's class; `None` if explicit.
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

    def gradients(self, step, steps):
        """Returns the gradient evaluations of the first `step` of `steps` steps."""
        return step

    def start(self, steps):
        """Returns the number of steps without a regularizer that come before others."""
        return 0


def _baseline(optimizer, *rates, **fixed):
    return Tuned(
        "baseline", tuple({"learning_rate": r} for r in rates), optimizer, fixed
    )


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
    "SGD-M": _baseline(
        keras.optimizers.SGD, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, momentum=0.9
    ),
    "Adam": _baseline(keras.optimizers.Adam, *_ADAM_RATES),
    "RMSprop": _baseline(keras.optimizers.RMSprop, *_ADAM_RATES),
    "Adam-EMA": _baseline(
        keras.optimizers.Adam, *_ADAM_RATES, use_ema=True, ema_momentum=EMA_MOMENTUM
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
    "SAM": _explicit(SAM, 2),
    "GSAM": _explicit(GSAM, 2),
    "GAM": _explicit(lambda: GAM(variant="released"), 4),
    "late SAM": _explicit(SAM, 2, start_fraction=0.875),
}
# L2 and held-out are controls: is it flatness, or small weights, or unseen data?
TEACHERS = {
    "none": None,
    "SAM": SAM(0.3),
    "GSAM": GSAM(0.3),
    "GAM": GAM(0.1, 0.1, variant="released"),
    "L2": L2(3e-3),
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
