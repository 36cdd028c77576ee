"""Statistics of repeated runs."""

import numpy as np
from scipy import stats

from lrlearn.checks import check_confidence


def mean_interval(values, confidence=0.95):
    r"""Returns the mean and the half-width of its confidence interval.

    With $n$ values of standard deviation $s$: $t_{n-1}\, s/\sqrt n$, Student's.

    Args:
        values: Numbers, one for each run. If one is not finite, since a run diverged,
            the results are not finite either.
        confidence: Level of the interval. Defaults to `0.95`.

    Returns:
        A tuple `(mean, half_width)`; the half-width of a single value is NaN.

    Example:
        >>> from lrlearn.evaluation import mean_interval
        >>> mean, half_width = mean_interval([1.0, 2.0, 3.0])
        >>> round(mean, 2), round(half_width, 2)
        (2.0, 2.48)
    """
    check_confidence(confidence)
    values = np.asarray(values, "float64")
    n = len(values)
    if n == 0:
        raise ValueError("`values` must not be empty. Received: values=[]")
    if n == 1 or not np.isfinite(values).all():
        return float(values.mean()), float("nan")
    half_width = stats.t.ppf((1 + confidence) / 2, n - 1) * stats.sem(values)
    return float(values.mean()), float(half_width)


def summarize(frame, by, columns):
    """Returns means and intervals of columns, one row for each group.

    Args:
        frame: A `pandas.DataFrame`, one row for each run.
        by: List of the columns that name a group.
        columns: List of the columns to summarize.

    Returns:
        A `pandas.DataFrame` indexed by `by`, in order of appearance, with columns
        `(column, "mean")` and `(column, "interval")`.
    """
    groups = frame.groupby(list(by), sort=False)[list(columns)]
    return groups.agg(
        [
            ("mean", lambda values: mean_interval(values)[0]),
            ("interval", lambda values: mean_interval(values)[1]),
        ]
    )
