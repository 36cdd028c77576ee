"""Effects: means over tasks of paired differences between optimizers."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from lrlearn.evaluation.bootstrap import Interval, hierarchical_bootstrap

NO_META_SEED = -1  # stands for one, of what is made by hand


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
    the mean over tasks, with the interval of `hierarchical_bootstrap`. Tasks that one
    of them was not run on are left out, as means over other optimizers are about
    something else.

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
        shared = _at_shared_meta_seeds([crossed(p, "difference") for p in found])
        if _known(shared):
            pairs += _known(shared)
            tables.append(pd.concat(shared).groupby(level=0).mean())
    if not tables:
        return None
    interval, _ = hierarchical_bootstrap(aligned(tables))
    return Effect(
        interval,
        tasks=len(tables),
        all_tasks=len(references),
        **_counts(tables),
        pairs=pairs,
        left_out=every - pairs,
    )


def crossed(runs, column):
    """Returns a frame of a column, meta-seeds by seeds, NaN where there is no run.

    Args:
        runs: A frame, one row a run or pair, with `meta_seed`, NaN if made by hand.
        column: Name of the column.
    """
    # There are thousands of tables; `DataFrame.pivot` takes ten times as long.
    meta_seed = runs["meta_seed"].fillna(NO_META_SEED).to_numpy().astype(int)
    index, row = np.unique(meta_seed, return_inverse=True)
    columns, at = np.unique(runs["seed"].to_numpy(), return_inverse=True)
    table = np.full([len(index), len(columns)], np.nan)
    table[row, at] = runs[column]
    return pd.DataFrame(table, index=index, columns=columns)


def aligned(tables):
    """Returns arrays whose rows are the same meta-seeds, from frames of `crossed`.

    Args:
        tables: A list of frames, one a task.
    """
    meta_seeds = sorted(set().union(*(table.index for table in tables)))
    return [table.reindex(meta_seeds).to_numpy() for table in tables]


def _at_shared_meta_seeds(tables):
    """The frames at the meta-seeds that all of them have."""
    tables = [table.dropna(how="all") for table in tables]
    shared = set.intersection(*(set(table.index) for table in tables))
    return [table[table.index.isin(shared)] for table in tables]


def _known(tables):
    return sum(int(table.notna().to_numpy().sum()) for table in tables)


def _counts(tables):
    """The least numbers of meta-seeds and seeds that a frame has, and their means."""
    there = [~np.isnan(array) for array in aligned(tables)]
    seeds = int(min(known.any(axis=0).sum() for known in there))
    if all(list(table.index) == [NO_META_SEED] for table in tables):
        return {"meta_seeds": None, "seeds": seeds}
    means = pd.concat([table.mean(axis="columns") for table in tables], axis="columns")
    return {
        "meta_seeds": int(min(known.any(axis=1).sum() for known in there)),
        "seeds": seeds,
        "by_meta_seed": tuple(means.mean(axis="columns").sort_index()),
    }
