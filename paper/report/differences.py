"""Paired differences between optimizers: of accuracy, and at matched training loss.

Each measure has `pairs`, a frame of differences on a task, meta-seeds by seeds, and
`unmatched`, how many pairs could not be compared.
"""

import numpy as np
import pandas as pd

from paper.report.matched import matched_pairs

NO_META_SEED = -1  # in place of one, of what is made by hand


class Accuracy:
    """Differences of test accuracy, in points.

    Args:
        runs: The frame `Frames.runs`, of accuracies at the end, or another one with one
            row a run.
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
