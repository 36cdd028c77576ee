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
        unmatched: Number of pairs without a common training loss, left out.
    """

    interval: Interval
    tasks: int
    all_tasks: int
    meta_seeds: int | None
    seeds: int
    pairs: int
    unmatched: int = 0


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


class Matched:
    """Pairs of runs at matched training loss; each two optimizers are matched once.

    Args:
        sharpness: The frame `Frames.sharpness`.
    """

    def __init__(self, sharpness):
        self._runs = dict(list(sharpness.groupby("optimizer", sort=False)))
        self._groups = {}

    def group(self, optimizer, reference, *place):
        """Returns the pairs at a ball, radius, task and regime, `None` for none."""
        both = optimizer, reference
        if not all(name in self._runs for name in both):
            return None
        if both not in self._groups:
            runs = pd.concat([self._runs[name] for name in dict.fromkeys(both)])
            pairs = matched_pairs(runs, *both)
            groups = pairs.groupby(["ball", "radius", "task", "regime"], sort=False)
            self._groups[both] = dict(list(groups))
        return self._groups[both].get(place)


class Flatness:
    """Log ratios of the increase of the loss in a ball, at matched training loss.

    Args:
        matched: A `Matched`.
        ball: `"fixed"`, `"relative"` or `"adaptive"`.
        radius: Radius of the ball.
        bracketed: Whether pairs count as unmatched where no two records bracket the
            matched loss. Defaults to `False`.
    """

    def __init__(self, matched, ball, radius, bracketed=False):
        self._matched, self._ball = matched, (ball, radius)
        self._used = "bracketed" if bracketed else "matched"

    def pairs(self, task, regime, optimizer, reference):
        """Returns a frame of log ratios, meta-seeds by seeds, or `None`."""
        group = self._group(task, regime, optimizer, reference)
        if group is None:
            return None
        log_ratio = group["log_ratio"].where(group[self._used])
        return crossed(group.assign(log_ratio=log_ratio), "log_ratio")

    def unmatched(self, task, regime, optimizer, reference):
        """Returns how many pairs have no common training loss."""
        group = self._group(task, regime, optimizer, reference)
        return 0 if group is None else int((~group[self._used]).sum())

    def _group(self, task, regime, optimizer, reference):
        return self._matched.group(optimizer, reference, *self._ball, task, regime)


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
        measure: An `Accuracy` or a `Flatness`.
        regime: Name of the regime.
        optimizers: List of the optimizers' names.
        references: Dict from each task to the list of the references' names.
        resamples: Number of resamples. Defaults to `10_000`.
    """
    tables, pairs, unmatched = [], 0, 0
    for task, others in references.items():
        both = [(task, regime, o, r) for o in optimizers for r in others]
        found = [measure.pairs(*keys) for keys in both]
        if any(table is None for table in found):
            continue
        unmatched += sum(measure.unmatched(*keys) for keys in both)
        known = sum(int(table.notna().to_numpy().sum()) for table in found)
        table = _mean(found)
        if table.notna().to_numpy().any():
            pairs += known
            tables.append(table)
    if not tables:
        return None
    interval, _ = hierarchical_bootstrap(aligned(tables), resamples=resamples)
    counts = {"tasks": len(tables), "all_tasks": len(references), **_counts(tables)}
    return Effect(interval, **counts, pairs=pairs, unmatched=unmatched)


def aligned(tables):
    """Returns arrays whose rows are the same meta-seeds, from frames of `crossed`.

    Args:
        tables: A list of frames, one a task.
    """
    meta_seeds = sorted(set().union(*(table.index for table in tables)))
    return [table.reindex(meta_seeds).to_numpy() for table in tables]


def _mean(tables):
    """The mean of frames, cell by cell, at the meta-seeds that all of them have."""
    if len(tables) == 1:
        return tables[0]
    tables = [table.dropna(how="all") for table in tables]
    shared = set.intersection(*(set(table.index) for table in tables))
    parts = [table[table.index.isin(shared)] for table in tables]
    return pd.concat(parts).groupby(level=0).mean()


def _counts(tables):
    """The least numbers of meta-seeds and seeds that a frame has."""
    there = [~np.isnan(array) for array in aligned(tables)]
    meta_seeds = min(known.any(axis=1).sum() for known in there)
    by_hand = all(list(table.index) == [NO_META_SEED] for table in tables)
    seeds = min(known.any(axis=0).sum() for known in there)
    return {"meta_seeds": None if by_hand else int(meta_seeds), "seeds": int(seeds)}
