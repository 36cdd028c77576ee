"""Memory of one optimizer's step, on random gradients."""

import ctypes
import math

from benchmarks import rows, subjects, timing
from benchmarks.groups import scaling


def measure(repeats, num_params, optimizers):
    """Returns one row, with bytes a parameter; Linux only.

    They are those of the state, and all that are held at most in a step: parameters and
    gradients (4 each), state, and what is between.

    Args:
        repeats: Number of steps.
        num_params: As of `scaling`.
        optimizers: The name of one optimizer, in a list.
    """
    (name,) = optimizers
    _return_what_is_freed()
    before = timing.restart_peak()
    optimizer = subjects.optimizer(name)
    step = scaling.step_of(optimizer, scaling.shapes(num_params))
    step()  # may compile
    timing.restart_peak()
    times = [timing.seconds(step) for _ in range(repeats)]
    peak = 2**20 * (timing.peak_mib() - before)
    state = 4 * sum(math.prod(v.shape) for v in optimizer.variables)
    return [
        {
            "optimizer": name,
            **rows.timed(times),
            "state_bytes_per_parameter": state / num_params,
            "peak_bytes_per_parameter": peak / num_params,
        }
    ]


def _return_what_is_freed():
    """Has glibc give larger pieces of memory back to the system at once."""
    m_mmap_threshold = -3
    ctypes.CDLL(None).mallopt(m_mmap_threshold, 2**20)
