"""Estimators of the meta-gradient."""

from lrlearn.configurable import get_by_name
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
        identifier: An `Estimator` or a name, in any case.
        **arguments: Arguments of the named estimator. Default to its own.

    Raises:
        ValueError: If there is no such estimator, or it does not take an argument.
    """
    return get_by_name("estimator", Estimator, _ESTIMATORS, identifier, arguments)


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
