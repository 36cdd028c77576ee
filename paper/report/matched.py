"""Sharpness and accuracy at matched training loss, and time to a target loss."""

import numpy as np

from lrlearn.evaluation.bootstrap import log_ratio

# How far from the matched loss a record may be where none bracket it.
_TOLERANCE = 0.1
_TASK = ["dataset", "network", "task", "regime"]
_BALL = ["ball", "radius"]
_TIMES = ["step", "gradients", "training_cpu_seconds"]


def matched_pairs(sharpness, optimizer, reference):
    r"""Returns the sharpness of pairs of runs where their training losses are equal.

    A pair has the same task, regime and seed, and where both optimizers are learned,
    the same meta-seed. Its matched loss $l^*$ is the larger of the two runs' smallest
    `clean_loss`, so that both have reached it. In each run, $\log$ `increase` is
    interpolated linearly in $\log$ `clean_loss` between the first two successive
    records that bracket $l^*$. Where none do, the record whose loss is closest to $l^*$
    stands in if it is within 10 % of it; where none is, the pair is not matched. Only
    the run that is ahead can lack a bracket: all its records are below $l^*$.

    An `increase` that is not finite at a finite loss counts as infinite; `log_ratio`
    says what follows. Losses that are not finite match nothing.

    Args:
        sharpness: The frame of that name in `Frames`.
        optimizer: Name of the optimizer of the first run.
        reference: Name of the optimizer of the second.

    Returns:
        A `pandas.DataFrame`, one row a pair, ball and radius: `dataset`, `network`,
        `task`, `regime`, `meta_seed` (that of the learned side, if one is), `seed`,
        `ball`, `radius`, `matched_loss`, `matched` (boolean), `bracketed` (whether
        both runs have records that bracket it), and where matched, else NaN,
        `increase`, `reference_increase` and `log_ratio`, that of the two.
    """
    # As in `log_ratio`; an increase that is not a number is the worst there is.
    increase = sharpness["increase"].fillna(np.inf).clip(1e-100, 1e100)
    curves = sharpness.assign(loss=sharpness["clean_loss"], value=np.log(increase))
    pairs = _matched(curves, optimizer, reference, _BALL)
    x, y = np.exp(pairs.pop("x")), np.exp(pairs.pop("y"))
    return pairs.assign(increase=x, reference_increase=y, log_ratio=log_ratio(x, y))


def matched_accuracies(records, optimizer, reference):
    """Returns the test accuracy of pairs of runs where training losses are equal.

    Pairs and matched losses are those of `matched_pairs`, by the training losses of the
    records; accuracy is interpolated linearly in the logarithm of the loss.

    Args:
        records: The frame of that name in `Frames`.
        optimizer: Name of the optimizer of the first run.
        reference: Name of the optimizer of the second.

    Returns:
        A `pandas.DataFrame`, one row a pair, with the names of `matched_pairs`,
        `matched_loss`, `matched`, `bracketed`, and `points`, the difference of the two
        accuracies in points, NaN where not matched.
    """
    curves = records.assign(
        loss=records["train_loss"], value=100 * records["test_accuracy"]
    )
    pairs = _matched(curves, optimizer, reference)
    return pairs.assign(points=pairs.pop("x") - pairs.pop("y"))


def target_losses(records, optimizer="Adam", slack=1.05):
    """Returns the validation loss to reach on each task.

    It is `slack` times the median over the optimizer's runs of their smallest
    validation loss.

    Args:
        records: The frame of that name in `Frames`.
        optimizer: Name of the optimizer that sets the targets. Defaults to `"Adam"`.
        slack: Factor. Defaults to `1.05`.

    Returns:
        A `pandas.Series` with index `task` and `regime`, of the tasks that the
        optimizer was run on.
    """
    runs = records[records["optimizer"] == optimizer].groupby(["task", "regime", "key"])
    # A run without a finite loss reached none.
    smallest = runs["validation_loss"].min().fillna(np.inf)
    return slack * smallest.groupby(["task", "regime"]).median()


def time_to_target(records, target_column, target):
    """Returns when each run first reached its task's target.

    That is the first record at which the loss is not above the target; nothing is
    interpolated.

    Args:
        records: The frame of that name in `Frames`.
        target_column: Name of the column of the loss.
        target: A `pandas.Series` with index `task` and `regime`, such as
            `target_losses` returns. Runs on other tasks are left out.

    Returns:
        A `pandas.DataFrame`, one row a run: `key`, `dataset`, `network`, `task`,
        `regime`, `optimizer`, `meta_seed` and `seed`, and `step`, `gradients` and
        `training_cpu_seconds` until then, infinite if it never was.
    """
    names = ["key", *_TASK, "optimizer", "meta_seed", "seed"]
    targets = target.rename("target").reset_index()
    records = records.merge(targets, on=["task", "regime"]).sort_values("step")
    runs = records[names].drop_duplicates("key")
    reached = records[records[target_column] <= records["target"]]
    first = reached.drop_duplicates("key")[["key", *_TIMES]]
    times = runs.merge(first, on="key", how="left").sort_values(names[1:])
    return times.fillna(dict.fromkeys(_TIMES, np.inf)).reset_index(drop=True)


def _matched(curves, optimizer, reference, names=()):
    """Pairs with the values `x` and `y` of the two at their matched loss.

    Args:
        curves: A frame of records, with `loss` and `value`, which is interpolated.
        optimizer: Name of the optimizer of the first run.
        reference: Name of the optimizer of the second.
        names: Columns that, besides the key, tell one curve from another.
    """
    curves = curves[curves["optimizer"].isin([optimizer, reference])]
    series, losses, values = _series(curves, ["key", *names])
    sides = (series[series["optimizer"] == o] for o in (optimizer, reference))
    pairs = _pairs(*sides, names)
    sides = pairs.pop("series_x").to_numpy(), pairs.pop("series_y").to_numpy()
    smallest = np.min(losses, axis=1, initial=np.inf)
    matched_loss = np.maximum(*(smallest[side] for side in sides))
    (x, x_bracketed), (y, y_bracketed) = (
        _at_loss(matched_loss, losses[side], values[side]) for side in sides
    )
    matched = ~np.isnan(x) & ~np.isnan(y)
    return pairs.assign(
        matched_loss=matched_loss,
        matched=matched,
        bracketed=x_bracketed & y_bracketed,
        x=np.where(matched, x, np.nan),
        y=np.where(matched, y, np.nan),
    )


def _series(curves, names):
    """What was measured along each curve, in the order of steps.

    Returns a frame with the number of each series in column `series`, and arrays
    `[series, records]` of losses and values, padded with infinite losses, as are those
    that are not finite.
    """
    curves = curves.sort_values([*names, "step"])
    groups = curves.groupby(names)
    number, record = groups.ngroup().to_numpy(), groups.cumcount().to_numpy()
    # One record more than there are: successive ones can be had of a single one.
    shape = number.max(initial=-1) + 1, record.max(initial=0) + 2
    losses, values = np.full(shape, np.inf), np.zeros(shape)
    finite = np.isfinite(curves["loss"])
    losses[number, record] = np.where(finite, curves["loss"].clip(1e-100), np.inf)
    values[number, record] = curves["value"]
    series = curves.assign(series=number).drop_duplicates("series")
    return series, losses, values


def _pairs(series, references, ball):
    """All pairs of series that may be compared, by the numbers of the two."""
    learned = all(side["meta_seed"].notna().any() for side in (series, references))
    names = [*_TASK, *(["meta_seed"] if learned else []), "seed", *ball]
    columns = list(dict.fromkeys([*names, "meta_seed", "series"]))
    pairs = series[columns].merge(references[columns], on=names)
    if not learned:
        either = pairs["meta_seed_x"].combine_first(pairs["meta_seed_y"])
        pairs = pairs.assign(meta_seed=either)
    return pairs[[*_TASK, "meta_seed", "seed", *ball, "series_x", "series_y"]]


def _at_loss(loss, losses, values):
    """The value at a loss `[n]`, of n series; NaN if there is none.

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
