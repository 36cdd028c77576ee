"""Estimators of the meta-gradient."""

from lrlearn.meta.estimators.estimator import Estimate, Estimator
from lrlearn.meta.estimators.evolution import ES, NRES, PES
from lrlearn.meta.estimators.full_tape import FullTape
from lrlearn.meta.estimators.replay import Replay

_ESTIMATORS = {
    estimator.name: estimator for estimator in (ES, FullTape, NRES, PES, Replay)
}


def names():
    """Returns the names of all estimators."""
    return sorted(_ESTIMATORS)


def get(identifier, **arguments):
    """Returns an `Estimator`.

    Args:
        identifier: An `Estimator` or a name.
        **arguments: Arguments of the named estimator. Default to its own.

    Raises:
        ValueError: If there is no such estimator.
    """
    if isinstance(identifier, Estimator):
        return identifier
    if identifier not in names():
        raise ValueError(
            f"`estimator` must be an Estimator or one of {names()}. "
            f"Received: {identifier!r}"
        )
    return _ESTIMATORS[identifier](**arguments)


__all__ = [
    "ES",
    "NRES",
    "PES",
    "Estimate",
    "Estimator",
    "FullTape",
    "Replay",
    "get",
    "names",
]
