"""Regularizers as gradient fields: SAM, ASAM, GSAM, GAM, L2 and custom ones."""

import inspect

from lrlearn.regularizers.asam import ASAM
from lrlearn.regularizers.gam import GAM
from lrlearn.regularizers.gradients import gradient_norm, value_and_gradients
from lrlearn.regularizers.gsam import GSAM
from lrlearn.regularizers.l2 import L2
from lrlearn.regularizers.regularizer import Regularizer
from lrlearn.regularizers.rho_schedule import RhoSchedule
from lrlearn.regularizers.sam import SAM

__all__ = [
    "ASAM",
    "GAM",
    "GSAM",
    "L2",
    "SAM",
    "Regularizer",
    "RhoSchedule",
    "get",
    "gradient_norm",
    "names",
    "value_and_gradients",
]

_NAMES = {
    "none": None,
    "sam": SAM,
    "asam": ASAM,
    "gsam": GSAM,
    "gam": GAM,
    "l2": L2,
}


def names():
    """Returns the names that `get` knows."""
    return list(_NAMES)


def get(identifier, **arguments):
    """Returns a regularizer, or `None` for none.

    Args:
        identifier: `None`, a `Regularizer`, or a name, in any case: `"none"`, `"sam"`,
            `"asam"`, `"gsam"`, `"gam"` or `"l2"`.
        **arguments: Arguments of the named regularizer. Default to its own.

    Raises:
        ValueError: If `identifier` is not one of these, or does not take an argument.

    Example:
        >>> import lrlearn
        >>> lrlearn.regularizers.get("sam").rho
        0.05
    """
    if isinstance(identifier, Regularizer):
        if arguments:
            raise ValueError(
                "Arguments must come with a name, not with a Regularizer. "
                f"Received: {sorted(arguments)}"
            )
        return identifier
    name = "none" if identifier is None else identifier
    name = name.lower() if isinstance(name, str) else name
    if not isinstance(name, str) or name not in _NAMES:
        raise ValueError(
            "`regularizer` must be an lrlearn.regularizers.Regularizer, None or one of "
            f"{tuple(_NAMES)}. Received: regularizer={identifier!r}"
        )
    cls = _NAMES[name]
    valid = list(inspect.signature(cls).parameters) if cls else []
    if unknown := sorted(arguments.keys() - set(valid)):
        raise ValueError(
            f"Arguments of {name!r} must be among {valid}. Received: {unknown}"
        )
    return cls(**arguments) if cls else None
