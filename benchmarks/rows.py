"""The parts of a row, a JSON-able dict."""

import statistics

BASELINE = "adam"


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


def compared(optimizers, prepare, repeats):
    """Returns one row an optimizer, with its time beside Adam's if that is among them.

    Args:
        optimizers: Their names.
        prepare: Function of a name that does what is not measured. It returns a
            function that measures: without arguments, it returns CPU seconds.
        repeats: Number of rounds; in each, every optimizer is measured.
    """
    measures, failures = {}, []
    for name in optimizers:
        try:
            measures[name] = prepare(name)
        except Exception as error:  # the other optimizers go on
            failures.append({"optimizer": name, **failed(error)})
    # Round by round, so that a drift of the machine leaves the ratios alone.
    rounds = [
        {name: measure() for name, measure in measures.items()} for _ in range(repeats)
    ]
    return [_row(name, rounds) for name in measures] + failures


def _row(name, rounds):
    row = {"optimizer": name, **timed([times[name] for times in rounds])}
    if BASELINE in rounds[0]:
        ratios = [times[name] / times[BASELINE] for times in rounds]
        row["ratio"] = statistics.median(ratios)
    return row
