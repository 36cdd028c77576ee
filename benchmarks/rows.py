"""The parts of a row, a JSON-able dict."""

import statistics


def timed(samples):
    """Returns median and range of CPU seconds, in milliseconds."""
    return {
        "cpu_ms": 1e3 * statistics.median(samples),
        "cpu_ms_min": 1e3 * min(samples),
        "cpu_ms_max": 1e3 * max(samples),
    }


def failed(error):
    """Returns the row of an exception: the start of its message, on one line."""
    message = " ".join(str(error).split())
    return {"error": f"{type(error).__name__}: {message}"[:300]}
