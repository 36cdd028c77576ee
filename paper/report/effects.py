"""Effects: means over tasks of paired differences between optimizers."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from lrlearn.evaluation.bootstrap import Interval, hierarchical_bootstrap
from paper.report.differences import NO_META_SEED


class Effect(NamedTuple):
    """An effect and what it rests on.

    Attributes:
        interval: Its `Interval`.
        tasks: Number of tasks that it is the mean over.
        all_tasks: Number of tasks asked for; others lack an optimizer.
        meta_seeds: Number of meta-seeds; `None` where all was made by hand.
        seeds: Least number of seeds on a task.
        pairs: Number of pairs of runs.
        left_out: Number of pairs left out: those without a common training loss, or at
            meta-seeds that not all optimizers have.
        by_meta_seed: The mean at each meta-seed, in order; empty where all was made by
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


def effect(measure, regime, optimizers, references, resamples=10_000):
    """Returns the `Effect` of optimizers against references, or `None` if unmeasured.

    On each task it is the mean over all pairs of an optimizer and a reference; then
    the mean over tasks, with the interval of `hierarchical_bootstrap`. Tasks that one
    of them was not run on are left out: means over other optimizers say other things.

    Args:
        measure: A measure of `differences`.
        regime: Name of the regime.
        optimizers: List of the optimizers' names.
        references: Dict from each task to the list of the references' names.
        resamples: Number of resamples. Defaults to `10_000`.
    """
    tables, pairs, every = [], 0, 0
    for task, others in references.items():
        both = [(task, regime, o, r) for o in optimizers for r in others]
        found = [measure.pairs(*keys) for keys in both]
        if any(table is None for table in found):
            continue
        every += _known(found) + sum(measure.unmatched(*keys) for keys in both)
        shared = _at_shared_meta_seeds(found)
        if _known(shared):
            pairs += _known(shared)
            tables.append(pd.concat(shared).groupby(level=0).mean())
    if not tables:
        return None
    interval, _ = hierarchical_bootstrap(aligned(tables), resamples=resamples)
    return Effect(
        interval,
        tasks=len(tables),
        all_tasks=len(references),
        **_counts(tables),
        pairs=pairs,
        left_out=every - pairs,
        by_meta_seed=_by_meta_seed(tables),
    )


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


def _by_meta_seed(tables):
    if _by_hand(tables):
        return ()
    means = [table.mean(axis="columns") for table in tables]
    return tuple(pd.concat(means, axis="columns").mean(axis="columns").sort_index())


def _by_hand(tables):
    return all(list(table.index) == [NO_META_SEED] for table in tables)


def _counts(tables):
    """The least numbers of meta-seeds and seeds that a frame has."""
    there = [~np.isnan(array) for array in aligned(tables)]
    meta_seeds = min(known.any(axis=1).sum() for known in there)
    seeds = min(known.any(axis=0).sum() for known in there)
    return {
        "meta_seeds": None if _by_hand(tables) else int(meta_seeds),
        "seeds": int(seeds),
    }
