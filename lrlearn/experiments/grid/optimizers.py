"""The optimizers of the grid: hand-designed ones with their trials, learned ones."""

import dataclasses
import itertools
from collections.abc import Callable

import keras

import lrlearn

EMA_MOMENTUM = 0.99
_MOMENTUM = 0.9
_RADII = (0.01, 0.03, 0.1, 0.2, 0.5, 1.0)
_ADAM_RATES = (0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03)


@dataclasses.dataclass(frozen=True)
class Tuned:
    """A hand-designed optimizer; every one gets as many trials.

    Attributes:
        kind: `"baseline"`, or `"explicit"` for a regularizer around the better of
            `BASES`, with that one's learning rate.
        trials: Hyperparameters to choose from, dicts.
        make: Function of a learning rate and a weight decay that returns a Keras
            optimizer; `None` where explicit.
        regularizer: Function without arguments that returns a `Regularizer`, whose
            radii are then set; `None` for baselines.
        start_fraction: Fraction of the steps that come before the regularizer.
        passes: Gradients of a regularized step.
    """

    kind: str
    trials: tuple
    make: Callable | None = None
    regularizer: Callable | None = None
    start_fraction: float = 0.0
    passes: int = 1

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
    trials = tuple({"rho": rho} for rho in _RADII)
    return Tuned("explicit", trials, None, regularizer, start_fraction, passes)


def _sgd(learning_rate, weight_decay=None):
    return keras.optimizers.SGD(learning_rate, momentum=_MOMENTUM)


def _adam(learning_rate, weight_decay=None):
    return keras.optimizers.Adam(learning_rate)


def _rmsprop(learning_rate, weight_decay=None):
    return keras.optimizers.RMSprop(learning_rate)


def _adam_ema(learning_rate, weight_decay=None):
    return keras.optimizers.Adam(learning_rate, use_ema=True, ema_momentum=EMA_MOMENTUM)


def _adamw(learning_rate, weight_decay):
    return keras.optimizers.AdamW(learning_rate, weight_decay=weight_decay)


BASES = ("SGD-M", "Adam")
TUNED = {
    "SGD-M": Tuned("baseline", _rates(0.001, 0.003, 0.01, 0.03, 0.1, 0.3), _sgd),
    "Adam": Tuned("baseline", _rates(*_ADAM_RATES), _adam),
    "RMSprop": Tuned("baseline", _rates(*_ADAM_RATES), _rmsprop),
    "Adam-EMA": Tuned("baseline", _rates(*_ADAM_RATES), _adam_ema),
    # Keras multiplies the decay by the learning rate.
    "AdamW": Tuned(
        "baseline",
        tuple(
            {"learning_rate": rate, "weight_decay": decay}
            for rate, decay in itertools.product((0.001, 0.003, 0.01), (0.1, 1.0))
        ),
        _adamw,
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
    for name in ("rho", "rho_perturb"):
        if hasattr(regularizer, name):
            setattr(regularizer, name, radius)
