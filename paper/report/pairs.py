"""Pairs of runs of two optimizers, and the differences between them."""

import numpy as np
import pandas as pd

from lrlearn.evaluation.bootstrap import log_ratio

# How far from the matched loss a record may be if no two bracket it.
_TOLERANCE = 0.1
_TASK = ["task", "regime"]


class Measure:
    """Differences between the runs of two optimizers; each two are compared once.

    Args:
        frame: A frame of `Frames`, or a part of it.
        compare: `final_points`, `matched_points` or `matched_ratios`: a function of a
            frame and the names of two optimizers that returns pairs of runs.
        unit: `"points"` of test accuracy, or `"ratio"` if differences are logarithms.
    """

    def __init__(self, frame, compare, unit):
        self.unit = unit
        self._runs = dict(list(frame.groupby("optimizer", sort=False)))
        self._compare, self._pairs = compare, {}

    def pairs(self, task, regime, optimizer, reference):
        """Returns the pairs on a task, with their `difference`, or `None` for none."""
        both = optimizer, reference
        if not all(name in self._runs for name in both):
            return None
        if both not in self._pairs:
            runs = pd.concat([self._runs[name] for name in dict.fromkeys(both)])
            groups = self._compare(runs, *both).groupby(_TASK, sort=False)
            self._pairs[both] = dict(list(groups))
        return self._pairs[both].get((task, regime))


def final_points(runs, optimizer, reference):
    """Returns pairs of runs with the difference of their test accuracies in points.

    A pair has the same task, regime and seed, and if both optimizers are learned, the
    same meta-seed. Columns are `task`, `regime`, `meta_seed` (that of the learned side,
    if one is), `seed` and `difference`.
    """
    runs = runs.assign(points=100 * runs["test_accuracy"])
    pairs = _paired(runs, "points", optimizer, reference)
    return pairs.assign(difference=pairs["x"] - pairs["y"])


def matched_points(records, optimizer, reference):
    """Returns the pairs of `final_points`, at equal training losses.

    The matched loss is that of `matched_ratios`, by the training losses of the records;
    accuracy is interpolated linearly in the logarithm of the loss.
    """
    value = 100 * records["test_accuracy"]
    curves = records.assign(loss=records["train_loss"], value=value)
    pairs = _matched(curves, optimizer, reference)
    return pairs.assign(difference=pairs["x"] - pairs["y"])


def matched_ratios(sharpness, optimizer, reference, bracketed=False):
    r"""Returns pairs of runs with the log ratio of their sharpness at equal losses.

    The matched loss $l^*$ of a pair is the larger of the two runs' smallest
    `clean_loss`, so that both have reached it. In each run, $\log$ `increase` is
    interpolated linearly in $\log$ `clean_loss` between the first two successive
    records that bracket $l^*$. If none do, the record whose loss is closest to $l^*$
    stands in if it is within 10 % of it; if none is, the pair is not matched, and its
    difference is NaN. Only the run that is ahead can lack a bracket: all its records
    are below $l^*$.

    An `increase` that is not finite at a finite loss counts as infinite; see
    `log_ratio`. So does that of a run with a loss that is not finite, which matches
    nothing.

    Args:
        sharpness: The frame of that name in `Frames`, of one ball and radius.
        optimizer: Name of the optimizer of the first run.
        reference: Name of the optimizer of the second.
        bracketed: Whether only pairs count of which both runs have records that bracket
            the matched loss. Defaults to `False`.
    """
    # As in `log_ratio`; an increase that is not a number is the worst there is.
    increase = sharpness["increase"].fillna(np.inf).clip(1e-100, 1e100)
    curves = sharpness.assign(loss=sharpness["clean_loss"], value=np.log(increase))
    pairs = _matched(curves, optimizer, reference)
    difference = log_ratio(*np.exp([pairs["x"], pairs["y"]]))
    if bracketed:
        difference = np.where(pairs["bracketed"], difference, np.nan)
    one, other = _failed(sharpness, pairs, optimizer, reference)
    worst = log_ratio(*(np.where(failed, np.inf, 1.0) for failed in (one, other)))
    return pairs.assign(difference=np.where(one | other, worst, difference))


def _failed(sharpness, pairs, optimizer, reference):
    """Whether each of the two runs of pairs has a loss that is not finite."""
    lost = ~np.isfinite(sharpness["clean_loss"])
    runs = sharpness.assign(failed=lost.groupby(sharpness["key"]).transform("any"))
    runs = runs.drop_duplicates("key")
    found = _paired(runs, "failed", optimizer, reference)
    names = [*_TASK, "meta_seed", "seed"]
    found = pairs[names].merge(found, on=names, how="left", validate="one_to_one")
    return found["x"].to_numpy(bool), found["y"].to_numpy(bool)


def _paired(rows, column, optimizer, reference):
    """All pairs of rows that may be compared, with the column's two values x and y."""
    sides = [rows[rows["optimizer"] == name] for name in (optimizer, reference)]
    learned = all(side["meta_seed"].notna().any() for side in sides)
    names = [*_TASK, *(["meta_seed"] if learned else []), "seed"]
    x, y = (
        side[[*_TASK, "meta_seed", "seed", column]].rename(columns={column: name})
        for side, name in zip(sides, "xy", strict=True)
    )
    pairs = x.merge(
        y if learned else y.rename(columns={"meta_seed": "other"}), on=names
    )
    if not learned:
        either = pairs["meta_seed"].combine_first(pairs["other"])
        pairs = pairs.assign(meta_seed=either)
    return pairs[[*_TASK, "meta_seed", "seed", "x", "y"]]


def _matched(curves, optimizer, reference):
    """Pairs with the values `x` and `y` of the two at their matched loss.

    `curves` are records with `loss` and `value`, which is interpolated.
    """
    curves, losses, values = _padded(curves)
    pairs = _paired(curves.drop_duplicates("curve"), "curve", optimizer, reference)
    sides = pairs["x"].to_numpy(), pairs["y"].to_numpy()
    smallest = np.min(losses, axis=1, initial=np.inf)
    matched_loss = np.maximum(*(smallest[side] for side in sides))
    (x, x_bracketed), (y, y_bracketed) = (
        _at_loss(matched_loss, losses[side], values[side]) for side in sides
    )
    matched = ~np.isnan(x) & ~np.isnan(y)
    return pairs.assign(
        matched_loss=matched_loss,
        bracketed=x_bracketed & y_bracketed,
        x=np.where(matched, x, np.nan),
        y=np.where(matched, y, np.nan),
    )


def _padded(curves):
    """Numbers the curves, and returns them as arrays.

    Returns the frame with the number of each run's curve in column `curve`, and arrays
    `[curves, records]` of losses and values, in the order of steps. They are padded
    with infinite losses, as are those that are not finite.
    """
    curves = curves.sort_values("step")
    groups = curves.groupby("key")
    number, record = groups.ngroup().to_numpy(), groups.cumcount().to_numpy()
    # One record more than there are: successive ones can be had of a single one.
    shape = number.max(initial=-1) + 1, record.max(initial=0) + 2
    losses, values = np.full(shape, np.inf), np.zeros(shape)
    finite = np.isfinite(curves["loss"])
    losses[number, record] = np.where(finite, curves["loss"].clip(1e-100), np.inf)
    values[number, record] = curves["value"]
    return curves.assign(curve=number), losses, values


def _at_loss(loss, losses, values):
    """The value at a loss `[n]`, of n curves; NaN if there is none.

    And whether records bracket the loss, or one has it.
    """
    found = _closest(loss, losses, values)
    low, high = (f(losses[:, :-1], losses[:, 1:]) for f in (np.minimum, np.maximum))
    bracket = (low <= loss[:, None]) & (loss[:, None] <= high) & np.isfinite(high)
    row = np.flatnonzero(bracket.any(axis=1))
    first = np.argmax(bracket[row], axis=1)
    x, a, b = np.log([loss[row], losses[row, first], losses[row, first + 1]])
    t = np.divide(x - a, b - a, out=np.zeros_like(x), where=a != b)
    found[row] = (1 - t) * values[row, first] + t * values[row, first + 1]
    return found, bracket.any(axis=1) | (losses == loss[:, None]).any(axis=1)


def _closest(loss, losses, values):
    """The value as in `_at_loss`, of the record with the closest loss."""
    row = np.arange(len(loss))
    near = np.abs(losses - np.where(np.isfinite(loss), loss, np.nan)[:, None])
    near = np.where(near <= _TOLERANCE * loss[:, None], near, np.inf)
    record = np.argmin(near, axis=1)
    return np.where(np.isfinite(near[row, record]), values[row, record], np.nan)
