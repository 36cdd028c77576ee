"""What the cases measure, by name."""

import keras

from lrlearn import LearnedOptimizer
from lrlearn import rules as update_rules
from lrlearn.regularizers import GAM, GSAM, SAM

_RULES = {
    "lstm_2x20": lambda: update_rules.CoordinatewiseLSTM((20, 20)),
    "lstm_2x10": lambda: update_rules.CoordinatewiseLSTM(
        (10, 10), features="normalized", output="adam"
    ),
    "per_parameter_mlp": update_rules.PerParameterMLP,
    "scheduled_mlp": update_rules.ScheduledMLP,
    "scheduled_lstm_10": lambda: update_rules.ScheduledLSTM((10,)),
}
_KERAS = {
    "sgd": keras.optimizers.SGD,
    "adam": keras.optimizers.Adam,
    "lion": keras.optimizers.Lion,
    "muon": keras.optimizers.Muon,
}
_REGULARIZERS = {
    "none": lambda: None,
    "sam": SAM,
    "gsam": GSAM,
    "gam": lambda: GAM(variant="released"),
}
_AROUND_OTHERS = ("sam+lion", "sam+muon")


def estimators():
    """Returns the names of the estimators; they need TensorFlow."""
    from lrlearn.meta import estimators

    return estimators.names()


def rules():
    """Returns the names of the update rules."""
    return list(_RULES)


def rule(name):
    """Returns an update rule."""
    return _RULES[name]()


def regularizer(name):
    """Returns a regularizer, or `None` for `"none"`."""
    return _REGULARIZERS[name]()


def trained_with():
    """Returns all that a model is trained with: optimizers, and regularizers around."""
    around_adam = [name for name in _REGULARIZERS if name != "none"]
    return [*_KERAS, *rules(), *around_adam, *_AROUND_OTHERS]


def parts(name):
    """Returns the names of regularizer and optimizer of a name in `trained_with`.

    Example:
        >>> from benchmarks import subjects
        >>> [subjects.parts(name) for name in ("lion", "sam", "sam+lion")]
        [('none', 'lion'), ('sam', 'adam'), ('sam', 'lion')]
    """
    if name not in _REGULARIZERS and "+" not in name:
        return "none", name
    regularizer, _, optimizer = name.partition("+")
    return regularizer, optimizer or "adam"


def optimizer(name):
    """Returns a new optimizer; the learned ones have untrained weights and a guard."""
    if name in _KERAS:
        return _KERAS[name]()
    # A small rate keeps an untrained rule from running off to infinity.
    theta = rule(name).init_theta()
    return LearnedOptimizer(rule(name), theta, learning_rate=0.01, guard=True)
