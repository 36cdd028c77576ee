"""Regularizers as gradient fields: SAM, GSAM, GAM, L2 and one's own."""

from lrlearn.regularizers.gam import GAM
from lrlearn.regularizers.gradients import gradient_norm, value_and_gradients
from lrlearn.regularizers.gsam import GSAM
from lrlearn.regularizers.l2 import L2
from lrlearn.regularizers.regularizer import Regularizer
from lrlearn.regularizers.rho_schedule import RhoSchedule
from lrlearn.regularizers.sam import SAM

__all__ = [
    "GAM",
    "GSAM",
    "L2",
    "SAM",
    "Regularizer",
    "RhoSchedule",
    "get",
    "gradient_norm",
    "value_and_gradients",
]

_NAMES = {"none": None, "sam": SAM, "gsam": GSAM, "gam": GAM, "l2": L2}


def get(identifier):
    """Returns a regularizer, or `None` for none.

    Args:
        identifier: `None`, a `Regularizer`, or a name, in any case: `"none"`, `"sam"`,
            `"gsam"`, `"gam"` or `"l2"`, with default arguments.

    Raises:
        ValueError: If `identifier` is not one of these.

    Example:
        >>> import lrlearn
        >>> lrlearn.regularizers.get("sam").rho
        0.05
    """
    if identifier is None or isinstance(identifier, Regularizer):
        return identifier
    name = identifier.lower() if isinstance(identifier, str) else identifier
    if not isinstance(name, str) or name not in _NAMES:
        raise ValueError(
            "`identifier` must be a Regularizer, None or one of "
            f"{tuple(_NAMES)}. Received: {identifier=}"
        )
    cls = _NAMES[name]
    return cls() if cls else None
