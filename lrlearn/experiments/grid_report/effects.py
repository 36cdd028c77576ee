"""Effects: means over tasks of paired differences between optimizers."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from lrlearn.evaluation.bootstrap import Interval, hierarchical_bootstrap
from lrlearn.experiments.grid_report.matched import matched_pairs

NO_META_SEED = -1  # in place of one, of what is made by hand


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


class Accuracy:
    """Differences of test accuracy at the end, in points.

    Args:
        runs: The frame `Frames.runs`.
    """

    def __init__(self, runs):
        runs = runs.assign(points=100 * runs["test_accuracy"])
        groups = runs.groupby(["task", "regime", "optimizer"], sort=False)
        self.tables = {key: crossed(group, "points") for key, group in groups}

    def pairs(self, task, regime, optimizer, reference):
        """Returns a frame of differences, meta-seeds by seeds, or `None`."""
        table = self.tables.get((task, regime, optimizer))
        other = self.tables.get((task, regime, reference))
        if table is None or other is None:
            return None
        if list(other.index) == [NO_META_SEED]:
            return table.sub(other.iloc[0], axis="columns")
        return table - other

    def unmatched(self, task, regime, optimizer, reference):
        """Returns how many pairs could not be compared: none."""
        return 0


def stopped_early(records):
    """Returns the record of best validation accuracy of each run, ties by loss.

    Args:
        records: The frame `Frames.records`.
    """
    best = ["validation_accuracy", "validation_loss"]
    ordered = records.sort_values(best, ascending=[False, True], kind="stable")
    return ordered.drop_duplicates("key")


class Matched:
    """Pairs of runs at matched training loss; each two optimizers are matched once.

    Args:
        frame: The frame `Frames.sharpness`, or another that `match` takes.
        match: Function of a frame and two optimizers' names that returns pairs.
            Defaults to `matched_pairs`.
        by: Columns of the pairs that name a place. Defaults to ball, radius, task and
            regime.
    """

    def __init__(
        self, frame, match=matched_pairs, by=("ball", "radius", "task", "regime")
    ):
        self._runs = dict(list(frame.groupby("optimizer", sort=False)))
        self._match, self._by = match, list(by)
        self._groups = {}

    def group(self, optimizer, reference, *place):
        """Returns the pairs at a place, `None` for none."""
        both = optimizer, reference
        if not all(name in self._runs for name in both):
            return None
        if both not in self._groups:
            runs = pd.concat([self._runs[name] for name in dict.fromkeys(both)])
            groups = self._match(runs, *both).groupby(self._by, sort=False)
            self._groups[both] = dict(list(groups))
        return self._groups[both].get(place)


class AtLoss:
    """Differences between runs at matched training loss.

    Args:
        matched: A `Matched`.
        column: Name of the column of the differences: `"log_ratio"` of sharpness, or
            `"points"` of accuracy.
        *place: Ball and radius, of sharpness.
        bracketed: Whether pairs count as unmatched where no two records bracket the
            matched loss. Defaults to `False`.
    """

    def __init__(self, matched, column, *place, bracketed=False):
        self._matched, self._column, self._place = matched, column, place
        self._used = "bracketed" if bracketed else "matched"

    def pairs(self, task, regime, optimizer, reference):
        """Returns a frame of differences, meta-seeds by seeds, or `None`."""
        group = self._group(task, regime, optimizer, reference)
        if group is None:
            return None
        difference = group[self._column].where(group[self._used])
        return crossed(group.assign(difference=difference), "difference")

    def unmatched(self, task, regime, optimizer, reference):
        """Returns how many pairs have no common training loss."""
        group = self._group(task, regime, optimizer, reference)
        return 0 if group is None else int((~group[self._used]).sum())

    def _group(self, task, regime, optimizer, reference):
        return self._matched.group(optimizer, reference, *self._place, task, regime)


def flatness(matched, ball, radius, bracketed=False):
    """Returns the measure of log ratios of the increase of the loss within a ball.

    Args:
        matched: A `Matched` of sharpness.
        ball: `"fixed"`, `"relative"` or `"adaptive"`.
        radius: Radius of the ball.
        bracketed: As of `AtLoss`. Defaults to `False`.
    """
    return AtLoss(matched, "log_ratio", ball, radius, bracketed=bracketed)


def crossed(runs, column):
    """Returns a frame of a column, meta-seeds by seeds, NaN where there is no run.

    Args:
        runs: A frame, one row a run or pair, with `meta_seed`, NaN if made by hand.
        column: Name of the column.
    """
    # There are thousands of tables; `DataFrame.pivot` takes ten times as long.
    meta_seed = runs["meta_seed"].fillna(NO_META_SEED).to_numpy().astype(int)
    index, row = np.unique(meta_seed, return_inverse=True)
    columns, place = np.unique(runs["seed"].to_numpy(), return_inverse=True)
    table = np.full([len(index), len(columns)], np.nan)
    table[row, place] = runs[column]
    return pd.DataFrame(table, index=index, columns=columns)


def effect(measure, regime, optimizers, references, resamples=10_000):
    """Returns the `Effect` of optimizers against references, or `None` if unmeasured.

    On each task it is the mean over all pairs of an optimizer and a reference; then
    the mean over tasks, with the interval of `hierarchical_bootstrap`. Tasks that one
    of them was not run on are left out: means over other optimizers say other things.

    Args:
        measure: An `Accuracy` or an `AtLoss`.
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
