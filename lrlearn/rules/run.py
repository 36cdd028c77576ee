"""What a rule is told about the run that it is in."""

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
            by the norm of the parameters. Defaults to `0`.
    """

    total_steps: Any = 0.0
    epochs: Any = 0.0
    rho: Any = 0.0

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
