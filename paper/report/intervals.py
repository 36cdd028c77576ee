"""Means and intervals of many groups of runs at once."""

import numpy as np
import pandas as pd

from lrlearn.evaluation.bootstrap import cell_counts
from paper.report.effects import NO_META_SEED


def intervals(frame, by, column, confidence=0.95, resamples=10_000):
    r"""Returns means with bootstrap intervals, one row a group.

    As in `hierarchical_bootstrap` of one task: a resample draws meta-seeds, where there
    are any, and seeds, crossed. All groups share the draws.

    Args:
        frame: A `pandas.DataFrame` with the columns `by`, `column`, `meta_seed` (NaN of
            what is made by hand) and `seed`.
        by: List of the columns that name a group.
        column: What to average. Where it is missing or not finite in a run, so is the
            mean: a run that diverged is not left out.
        confidence: Level of the intervals. Defaults to `0.95`.
        resamples: Number of resamples. Defaults to `10_000`.

    Returns:
        A `pandas.DataFrame` with the columns `by`, `mean`, `half` (half of the
        interval, NaN of a single run) and `runs`, groups in order of appearance.
    """
    runs = frame[[*by, "meta_seed", "seed"]].assign(
        meta_seed=frame["meta_seed"].fillna(NO_META_SEED).astype(int),
        value=frame[column].fillna(np.inf),
    )
    parts = [
        _of_crossed(part, by, confidence, resamples)
        for _, part in runs.groupby(runs["meta_seed"] == NO_META_SEED)
    ]
    order = frame[by].drop_duplicates()
    if not parts:
        return order.assign(mean=0.0, half=0.0, runs=0)
    return order.merge(pd.concat(parts), on=by, how="left")


def _of_crossed(runs, by, confidence, resamples):
    """Returns what `intervals` does, of runs with the same meta-seeds and seeds."""
    table = runs.pivot_table("value", by, ["meta_seed", "seed"], observed=True)
    levels = [sorted(runs[name].unique()) for name in ("meta_seed", "seed")]
    table = table.reindex(columns=pd.MultiIndex.from_product(levels))
    values = table.to_numpy()
    there, finite = ~np.isnan(values), np.isfinite(values)
    shape = tuple(map(len, levels))
    (counts,) = cell_counts([np.zeros(shape)], resamples, np.random.default_rng(0))
    sums, numbers = counts @ np.where(finite, values, 0.0).T, counts @ there.T
    # Where a resample draws nothing that is there, it gives the mean itself.
    drawn = numbers > 0
    means = np.where(drawn, sums / np.maximum(numbers, 1), sums[0] / numbers[0])
    tail = (1 - confidence) / 2
    low, high = np.quantile(means[1:], [tail, 1 - tail], axis=0)
    whole = (finite == there).all(axis=1)
    several = there.sum(axis=1) > 1
    found = {
        "mean": np.where(whole, means[0], np.inf),
        "half": np.where(whole & several, (high - low) / 2, np.nan),
        "runs": there.sum(axis=1),
    }
    return pd.DataFrame(found, index=table.index).reset_index()
