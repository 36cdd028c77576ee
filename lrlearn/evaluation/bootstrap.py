"""Bootstrap of effects over tasks, meta-seeds and seeds."""

from typing import NamedTuple

import numpy as np

from lrlearn.checks import check_confidence, check_count


class Interval(NamedTuple):
    """An estimate and its confidence interval.

    Attributes:
        mean: The estimate.
        low: Lower end of the interval.
        high: Upper end of the interval.
    """

    mean: float
    low: float
    high: float


def hierarchical_bootstrap(differences, confidence=0.95, resamples=10_000, seed=0):
    r"""Returns the mean over tasks of paired differences, and its interval.

    Meta-seeds and seeds are crossed: with $d_{tms}$ the difference on task $t$ at
    meta-seed $m$ and seed $s$, a resample draws $M$ meta-seeds with replacement, once
    for all $T$ tasks, and then the $S_t$ seeds of each task. With $c_m$ and $k_{ts}$
    the numbers of times that each is drawn, the mean is

    $$\frac 1 T \sum_t \frac{\sum_{ms} c_m k_{ts} d_{tms}}{\sum_{ms} c_m k_{ts}}.$$

    Tasks are not resampled: the mean is that of these tasks. The interval is the
    percentile interval. It is too short if meta-seeds are few. In simulations,
    meta-seeds mattered as much as seeds, and on all tasks alike: intervals of 95 %
    contained the true mean in 67 % of cases with 2 meta-seeds, in 78 % with 3, in 86 %
    with 5 and in 91 % with 10.

    A NaN is a difference that was not measured; the sums omit it. If a resample draws
    only such cells of a task, each measured cell of the task counts once. A task
    without measured cells is left out.

    A run that diverged was measured. If it makes a difference infinite, the mean of
    each resample with it is infinite, too; infinities of opposite signs cancel, one for
    one. For ratios see `log_ratio`.

    Args:
        differences: A list with an array `[meta-seeds, seeds]` for each task. All have
            the same meta-seeds; each task has its own seeds. Without a learned
            optimizer, arrays are `[seeds]`.
        confidence: Level of the interval. Defaults to `0.95`.
        resamples: Number of resamples. Defaults to `10_000`.
        seed: Integer seed of the draws. Defaults to `0`.

    Returns:
        A tuple `(interval, sample)`: an `Interval`, and the means of the resamples, an
        array `[resamples]`.

    Raises:
        ValueError: If the numbers of meta-seeds differ, or nothing has been measured.

    Reference:
        Owen, 2007, [The pigeonhole
        bootstrap](https://doi.org/10.1214/07-AOAS122).

    Example:
        >>> from lrlearn.evaluation import hierarchical_bootstrap
        >>> interval, sample = hierarchical_bootstrap([[[1.0, 2.0, 3.0]], [[4.0, 4.0]]])
        >>> interval
        Interval(mean=3.0, low=2.5, high=3.5)
        >>> sample.shape
        (10000,)
    """
    tasks = available(differences)
    counts = cell_counts(tasks, resamples, np.random.default_rng(seed))

    def mean(part):
        means = [
            c @ part(t.ravel()) / c.sum(1) for c, t in zip(counts, tasks, strict=True)
        ]
        return np.mean(means, axis=0)

    finite = mean(lambda d: np.where(np.isfinite(d), d, 0.0))
    infinite = mean(lambda d: np.where(np.isinf(d), np.sign(d), 0.0))
    cancelled = np.isclose(infinite, 0.0, atol=1e-12)
    return interval_of(
        np.where(cancelled, finite, np.copysign(np.inf, infinite)), confidence
    )


def verdict(interval, margin, claimed=1):
    """Returns whether a claim holds.

    Args:
        interval: The `Interval` of the effect.
        margin: Largest effect that does not matter, in the effect's unit (a logarithm
            for log ratios).
        claimed: Claimed sign of the effect, `1` or `-1`. Defaults to `1`.

    Returns:
        `"holds"` if the interval is wholly on the claimed side of 0; `"does not hold"`
        if it is wholly on the other side, or wholly within `margin` of 0; otherwise
        `"undecided"`.

    Raises:
        ValueError: If `claimed` is not a sign.

    Example:
        >>> from lrlearn.evaluation import Interval, verdict
        >>> verdict(Interval(mean=1.2, low=0.3, high=2.1), margin=0.5)
        'holds'
        >>> verdict(Interval(mean=0.1, low=-0.2, high=0.4), margin=0.5)
        'does not hold'
    """
    if claimed not in (-1, 1):
        raise ValueError(f"`claimed` must be 1 or -1. Received: {claimed=}")
    low, high = sorted(claimed * end for end in interval[1:])
    if low > 0:
        return "holds"
    if high < 0 or (-margin <= low and high <= margin):
        return "does not hold"
    return "undecided"


def log_ratio(x, y, limit=1e3):
    r"""Returns $\log(x/y)$, clipped to $\pm\log$ `limit`.

    So a run that diverged, with an infinite loss, has the worst ratio, and a mean over
    runs is still finite. Two runs that diverged are equal.

    Args:
        x: An array of numbers >= 0, NaN for those that were not measured.
        y: Another.
        limit: Largest ratio, and the inverse of the smallest. Defaults to `1e3`.

    Returns:
        An array, NaN if one of the two is.

    Example:
        >>> import numpy as np
        >>> from lrlearn.evaluation import log_ratio
        >>> x, y = [2.0, np.inf, np.inf, np.nan], [1.0, 1.0, np.inf, 1.0]
        >>> np.exp(log_ratio(x, y)).round(2).tolist()
        [2.0, 1000.0, 1.0, nan]
    """
    # The bounds are arbitrary, but so small that differences do not overflow.
    log_x, log_y = (np.log(np.clip(z, 1e-100, 1e100)) for z in (x, y))
    return np.clip(log_x - log_y, -np.log(limit), np.log(limit))


def available(tasks):
    """Returns the tasks without meta-seeds and seeds that have no runs at all.

    Tasks are arrays `[meta-seeds, seeds]`, NaN for runs that are missing.
    """
    tasks = [np.atleast_2d(np.asarray(task, "float64")) for task in tasks]
    sizes = sorted({len(task) for task in tasks})
    if len(sizes) > 1:
        raise ValueError(
            f"All tasks must have the same meta-seeds. Received: {sizes} of them"
        )
    known = [~np.isnan(task) for task in tasks]
    if not any(cells.any() for cells in known):
        raise ValueError(
            f"At least one run must be measured. Received: {len(tasks)} tasks without"
        )
    rows = np.any([cells.any(axis=1) for cells in known], axis=0)
    kept = [
        t[rows][:, cells.any(axis=0)] for t, cells in zip(tasks, known, strict=True)
    ]
    return [task for task in kept if task.size]


def cell_counts(tasks, resamples, rng):
    """Returns how often each resample draws each cell of each `available` task.

    This is a list of integer arrays `[1 + resamples, meta-seeds * seeds]`. The first
    row counts every cell once, which gives the estimate itself.
    """
    resamples = check_count("resamples", resamples)
    meta_seeds = _draws(len(tasks[0]), resamples, rng)
    counts = []
    for task in tasks:
        seeds = _draws(task.shape[1], resamples, rng)
        drawn = np.einsum("bm,bs->bms", meta_seeds, seeds).reshape(len(seeds), -1)
        known = ~np.isnan(task).ravel()
        drawn *= known
        counts.append(np.where(drawn.any(axis=1, keepdims=True), drawn, known))
    return counts


def interval_of(estimates, confidence):
    """Returns the `Interval` and the sample, of the estimate and the resampled ones."""
    check_confidence(confidence)
    estimate, sample = estimates[0], estimates[1:]
    tail = (1 - confidence) / 2
    # Without interpolation, which fails between a number and infinity.
    ends = np.quantile(sample, [tail, 1 - tail], method="inverted_cdf")
    return Interval(float(estimate), *map(float, ends)), sample


def _draws(n, resamples, rng):
    counts = rng.multinomial(n, np.full(n, 1 / n), size=resamples)
    return np.concatenate([np.ones([1, n], counts.dtype), counts])
