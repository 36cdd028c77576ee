"""The machine that the benchmarks run on."""

import os
import pathlib
import platform


def pin(core):
    """Keeps this process, and those that it will start, on one core.

    Args:
        core: Number of the core.

    Raises:
        ValueError: If there is no such core. Nothing happens if the system cannot pin
            processes.
    """
    if not hasattr(os, "sched_setaffinity"):
        return
    try:
        os.sched_setaffinity(0, {core})
    except OSError:
        raise ValueError(
            f"--core must be a core of this machine. Received: {core}"
        ) from None


def describe():
    """Returns what the machine is and how busy, a JSON-able dict."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "load_average": [round(load, 2) for load in os.getloadavg()],
    }


def _processor():
    info = pathlib.Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(": ")[1] for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
