"""What a rule is told about the run that it is in."""

import itertools
import math
import numbers
from typing import Any, NamedTuple

import numpy as np
from keras import ops

_SHORTEST = 1000.0
_EPOCHS = 10.0
_LARGEST = float(np.finfo("float32").max)


class Run(NamedTuple):
    """What a rule is told about the run that it is in; numbers or scalar tensors.

    Attributes:
        total_steps: Number of steps of the run; 0 if it is not known. Defaults to `0`.
        epochs: Number of passes over the training examples in the run; 0 if it is not
            known. Defaults to `0`.
        rho: The dial: how flat a minimum to look for, as the radius of a ball divided
            by the norm of the parameters; if negative, the rule's default. Defaults to
            `-1`.
    """

    total_steps: Any = 0.0
    epochs: Any = 0.0
    rho: Any = -1.0

    def resolve(self, step):
        """Returns this run at a step, as float32, with a guess for what is not known.

        Without `total_steps`, half of the run is still to come, and at least 1,000
        steps are in it: so the rule never decays its steps to zero. Past `total_steps`
        a run stays where it ended. Without `epochs` it has 10.

        Args:
            step: Number of the step, from 1.

        Returns:
            A tuple `(run, t)`; `t` is the step, at most `run.total_steps`.
        """
        total, epochs, rho, t = (ops.cast(value, "float32") for value in (*self, step))
        total = ops.where(total > 0, total, ops.maximum(_SHORTEST, 2.0 * t))
        epochs = ops.where(epochs > 0, epochs, _EPOCHS)
        return Run(total, epochs, rho), ops.minimum(t, total)


def check_run_input(name, value):
    """Returns a value of a field of `Run` as a float; raises a `ValueError` if none."""
    if not isinstance(value, numbers.Real) or not 0 <= value <= _LARGEST:
        raise ValueError(
            f"`{name}` must be a finite number, at least 0. Received: {name}={value!r}"
        )
    return float(value)


class DialDefault:
    r"""The setting of a dial unless a user sets it; it may depend on the epochs.

    Args:
        points: The setting, or pairs of a number of epochs and the setting then. In
            between it is linear in the logarithm of the epochs, beyond it is constant.

    Raises:
        ValueError: If `points` are neither.

    Example:
        >>> from lrlearn.rules.run import DialDefault
        >>> default = DialDefault([(1, 0.0), (100, 0.1)])
        >>> [round(float(default(epochs)), 3) for epochs in (0.5, 10.0, 1000.0)]
        [0.0, 0.05, 0.1]
    """

    def __init__(self, points):
        pairs = points if isinstance(points, list | tuple) else [(1.0, points)]
        if not pairs or not all(np.shape(pair) == (2,) for pair in pairs):
            raise ValueError(
                "`default_rho` must be a number, or pairs of a number of epochs and a "
                f"setting. Received: default_rho={points!r}"
            )
        self.points = [
            (check_run_input("epochs", epochs), check_run_input("default_rho", rho))
            for epochs, rho in pairs
        ]
        epochs = [epochs for epochs, _ in self.points]
        if epochs != sorted(set(epochs)) or epochs[0] == 0:
            raise ValueError(
                "Epochs in `default_rho` must be positive, and grow. Received: "
                f"default_rho={points!r}"
            )

    def __call__(self, epochs):
        """Returns the setting in a run of so many epochs, a scalar tensor."""
        log_epochs = ops.log(ops.cast(epochs, "float32"))
        rho = self.points[0][1] + ops.zeros_like(log_epochs)
        for (e, first), (f, second) in itertools.pairwise(self.points):
            e, f = math.log(e), math.log(f)
            rho += (second - first) * ops.clip((log_epochs - e) / (f - e), 0.0, 1.0)
        return rho

    def get_config(self):
        """Returns what the constructor was given, as JSON types."""
        if len(self.points) == 1:
            return self.points[0][1]
        return [list(pair) for pair in self.points]
