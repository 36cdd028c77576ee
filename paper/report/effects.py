"""Means over runs and over tasks, with their bootstrap intervals."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from lrlearn.evaluation.bootstrap import (
    Interval,
    cell_counts,
    hierarchical_bootstrap,
)

NO_META_SEED = -1  # stands for one, of what is made by hand
RESAMPLES = 10_000


class Effect(NamedTuple):
    """An effect and what it rests on.

    Attributes:
        interval: Its `Interval`.
        tasks: Number of tasks that it is the mean over.
        all_tasks: Number of tasks asked for; others lack an optimizer.
        meta_seeds: Number of meta-seeds; `None` if all was made by hand.
        seeds: Least number of seeds on a task.
        pairs: Number of pairs of runs.
        left_out: Number of pairs left out: those without a common training loss, or at
            meta-seeds that not all optimizers have.
        by_meta_seed: The mean at each meta-seed, in order; empty if all was made by
            hand.
    """

    interval: Interval
    tasks: int
    all_tasks: int
    meta_seeds: int | None
    seeds: int
    pairs: int
    left_out: int = 0
    by_meta_seed: tuple = ()


def effect(measure, regime, optimizers, references):
    """Returns the `Effect` of optimizers against references, or `None` if unmeasured.

    On each task it is the mean over all pairs of an optimizer and a reference; then
    the mean over tasks, with the interval of `hierarchical_bootstrap`. A task counts
    only if all of them have runs on it: means over other optimizers are about something
    else.

    Args:
        measure: A `Measure`.
        regime: Name of the regime.
        optimizers: List of the optimizers' names.
        references: Dict from each task to the list of the references' names.
    """
    tables, pairs, every = [], 0, 0
    for task, others in references.items():
        found = [measure.pairs(task, regime, o, r) for o in optimizers for r in others]
        if any(one is None for one in found):
            continue
        every += sum(map(len, found))
        shared = pd.concat(_at_shared_meta_seeds(found))
        known = int(shared.notna().to_numpy().sum())
        if known:
            pairs += known
            tables.append(shared.groupby(level=0).mean())
    if not tables:
        return None
    interval, _ = hierarchical_bootstrap(aligned(tables), resamples=RESAMPLES)
    return Effect(
        interval,
        tasks=len(tables),
        all_tasks=len(references),
        **_counts(tables),
        pairs=pairs,
        left_out=every - pairs,
    )


def crossed(runs, column):
    """Returns a frame of a column, meta-seeds by seeds, NaN where there is no run."""
    # There are thousands of tables; `DataFrame.pivot` takes ten times as long.
    meta_seed = runs["meta_seed"].fillna(NO_META_SEED).to_numpy().astype(int)
    index, row = np.unique(meta_seed, return_inverse=True)
    columns, at = np.unique(runs["seed"].to_numpy(), return_inverse=True)
    table = np.full([len(index), len(columns)], np.nan)
    table[row, at] = runs[column]
    return pd.DataFrame(table, index=index, columns=columns)


def aligned(tables):
    """Returns frames of `crossed` as arrays whose rows are the same meta-seeds."""
    meta_seeds = sorted(set().union(*(table.index for table in tables)))
    return [table.reindex(meta_seeds).to_numpy() for table in tables]


def intervals(frame, by, column):
    """Returns means with 95 % bootstrap intervals, one row a group.

    As in `hierarchical_bootstrap` of one task: a resample draws meta-seeds, if there
    are any, and seeds, crossed. All groups share the draws. If a value is missing or
    not finite in a run, so is the mean: a run that diverged is not left out.

    Args:
        frame: A frame with the columns `by`, `column`, `meta_seed` (NaN of what is made
            by hand) and `seed`.
        by: List of the columns that name a group.
        column: What to average.

    Returns:
        A frame with the columns `by`, `mean` and `half` (half of the interval, NaN of a
        single run), groups in order of appearance.
    """
    runs = frame[[*by, "meta_seed", "seed"]].assign(
        meta_seed=frame["meta_seed"].fillna(NO_META_SEED).astype(int),
        value=frame[column].fillna(np.inf),
    )
    parts = [
        _of_crossed(part, by)
        for _, part in runs.groupby(runs["meta_seed"] == NO_META_SEED)
    ]
    return frame[by].drop_duplicates().merge(pd.concat(parts), on=by, how="left")


def _of_crossed(runs, by):
    """Returns what `intervals` does, of runs with the same meta-seeds and seeds."""
    table = runs.pivot_table("value", by, ["meta_seed", "seed"], observed=True)
    levels = [sorted(runs[name].unique()) for name in ("meta_seed", "seed")]
    table = table.reindex(columns=pd.MultiIndex.from_product(levels))
    values = table.to_numpy()
    there, finite = ~np.isnan(values), np.isfinite(values)
    cells = np.zeros([len(level) for level in levels])
    (counts,) = cell_counts([cells], RESAMPLES, np.random.default_rng(0))
    sums, numbers = counts @ np.where(finite, values, 0.0).T, counts @ there.T
    # If a resample draws nothing that is there, it gives the mean itself.
    drawn = numbers > 0
    means = np.where(drawn, sums / np.maximum(numbers, 1), sums[0] / numbers[0])
    low, high = np.quantile(means[1:], [0.025, 0.975], axis=0)
    whole = (finite == there).all(axis=1)
    several = there.sum(axis=1) > 1
    found = {
        "mean": np.where(whole, means[0], np.inf),
        "half": np.where(whole & several, (high - low) / 2, np.nan),
    }
    return pd.DataFrame(found, index=table.index).reset_index()


def _at_shared_meta_seeds(pairs):
    """The differences of pairs, crossed, at the meta-seeds that all of them have."""
    tables = [crossed(part, "difference") for part in pairs]
    shared = set.intersection(*(set(table.index) for table in tables))
    return [table[table.index.isin(shared)] for table in tables]


def _counts(tables):
    """The number of meta-seeds, the least one of seeds on a task, and the means."""
    there = [~np.isnan(array) for array in aligned(tables)]
    seeds = int(min(known.any(axis=0).sum() for known in there))
    if all(list(table.index) == [NO_META_SEED] for table in tables):
        return {"meta_seeds": None, "seeds": seeds}
    means = pd.concat([table.mean(axis="columns") for table in tables], axis="columns")
    return {
        "meta_seeds": int(np.any([known.any(axis=1) for known in there], axis=0).sum()),
        "seeds": seeds,
        "by_meta_seed": tuple(means.mean(axis="columns").sort_index()),
    }
