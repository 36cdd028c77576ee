"""Means and intervals of many groups of runs at once."""

import numpy as np
from scipy import stats


def intervals(frame, by, column, confidence=0.95):
    r"""Returns means with Student's intervals, one row a group.

    The means $x_i$ of the $n$ units of a group, $s$ their standard deviation, give
    $\bar x \pm t_{n-1}\, s/\sqrt n$. Units are the meta-seeds, where there are several,
    since runs of one meta-training are alike; else the seeds.

    Args:
        frame: A `pandas.DataFrame` with the columns `by`, `column`, `meta_seed` and
            `seed`.
        by: List of the columns that name a group.
        column: What to average. Where it is missing or not finite in a run, so is the
            mean: a run that diverged is not left out.
        confidence: Level of the intervals. Defaults to `0.95`.

    Returns:
        A `pandas.DataFrame` with the columns `by`, `mean`, `half` (half of the
        interval, NaN where there is one unit) and `runs`.
    """
    frame = frame[[*by, "meta_seed", "seed", column]].copy()
    several = frame.groupby(by)["meta_seed"].transform("nunique") > 1
    frame["unit"] = frame["meta_seed"].where(several, frame["seed"])
    # Not finite means of a unit stay so: pandas would pass over NaN.
    frame[column] = frame[column].fillna(np.inf)
    units = frame.groupby([*by, "unit"], sort=False)[column].agg(["mean", "size"])
    groups = units.reset_index().groupby(by, sort=False)
    table = groups["mean"].agg(["mean", "count", "std"])
    error = table["std"] / np.sqrt(table["count"])
    # Degrees of freedom of 0 give NaN.
    table["half"] = stats.t.ppf((1 + confidence) / 2, table["count"] - 1) * error
    table["runs"] = groups["size"].sum()
    return table.reset_index()[[*by, "mean", "half", "runs"]]
