"""Regularizers as gradient fields: SAM, ASAM, GSAM, GAM, L2, mixtures, your own."""

import functools
import inspect

from lrlearn.configurable import get_by_name
from lrlearn.regularizers.asam import ASAM
from lrlearn.regularizers.gam import GAM
from lrlearn.regularizers.gradients import gradient_norm, value_and_gradients
from lrlearn.regularizers.gsam import GSAM
from lrlearn.regularizers.l2 import L2
from lrlearn.regularizers.mixture import Mixture
from lrlearn.regularizers.penalty import Penalty
from lrlearn.regularizers.regularizer import Regularizer
from lrlearn.regularizers.rho_schedule import RhoSchedule
from lrlearn.regularizers.sam import SAM

__all__ = [
    "ASAM",
    "GAM",
    "GSAM",
    "L2",
    "SAM",
    "Mixture",
    "Penalty",
    "Regularizer",
    "RhoSchedule",
    "get",
    "gradient_norm",
    "names",
    "value_and_gradients",
]


def names():
    """Returns the names that `get` knows."""
    return list(_NAMES)


def get(identifier, **arguments):
    """Returns a regularizer, or `None` for none.

    Args:
        identifier: `None`, a `Regularizer`, a name, in any case: `"none"`, `"sam"`,
            `"asam"`, `"gsam"`, `"gam"` or `"l2"`; or a function, of which it makes a
            `Penalty`.
        **arguments: Arguments of the named regularizer. Default to its own.

    Raises:
        ValueError: If `identifier` is not one of these, or does not take an argument.

    Example:
        >>> import lrlearn
        >>> lrlearn.regularizers.get("sam").rho
        0.05
    """
    identifier = "none" if identifier is None else identifier
    if inspect.isroutine(identifier) or isinstance(identifier, functools.partial):
        return Penalty(identifier, **arguments)
    return get_by_name("regularizer", Regularizer, _NAMES, identifier, arguments)


def _none():
    """Returns no regularizer, which the name `"none"` stands for."""
    return None


_NAMES = {"none": _none, "sam": SAM, "asam": ASAM, "gsam": GSAM, "gam": GAM, "l2": L2}
