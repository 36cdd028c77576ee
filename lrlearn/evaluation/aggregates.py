"""Optimizers compared over many tasks at once."""

import numpy as np
import pandas as pd

from lrlearn.evaluation.bootstrap import available, cell_counts, interval_of


def interquartile_mean(scores, confidence=0.95, resamples=10_000, seed=0):
    """Returns the interquartile mean of all runs on all tasks, and its interval.

    A quarter of the runs (rounded down) is left out at each end. Scores must be
    comparable between tasks, such as test accuracies in % minus the mean accuracy of
    tuned Adam on the task. Runs are resampled as in `hierarchical_bootstrap`; the
    reference is not.

    Args:
        scores: A list with an array `[meta-seeds, seeds]` or `[seeds]` for each task,
            NaN for runs that are missing.
        confidence: Level of the interval. Defaults to `0.95`.
        resamples: Number of resamples. Defaults to `10_000`.
        seed: Integer seed of the draws. Defaults to `0`.

    Returns:
        A tuple `(interval, sample)`, see `hierarchical_bootstrap`.

    Raises:
        ValueError: If a score is infinite; see also `hierarchical_bootstrap`.

    Reference:
        [Agarwal et al., 2021](https://arxiv.org/abs/2108.13264), section 4.3.

    Example:
        >>> from lrlearn.evaluation import interquartile_mean
        >>> interval, _ = interquartile_mean([[-50.0, 1.0, 2.0, 9.0]])
        >>> interval.mean
        1.5
    """
    tasks = available(scores)
    if any(np.isinf(task).any() for task in tasks):
        raise ValueError("`scores` must be finite, or NaN. Received: an infinite one")
    counts = cell_counts(tasks, resamples, np.random.default_rng(seed))
    values = np.concatenate([task.ravel() for task in tasks])
    order = np.argsort(values)
    ordered = np.concatenate(counts, axis=1)[:, order]
    # A NaN is never drawn.
    means = _interquartile_means(np.nan_to_num(values[order]), ordered)
    return interval_of(means, confidence)


def probability_of_improvement(x, y, confidence=0.95, resamples=10_000, seed=0):
    r"""Returns the probability that a run of X scores above one of Y.

    On a task with scores $x_i$ and $y_j$ it is the statistic of Mann and Whitney,
    $P(X > Y) = \frac 1 {nm} \sum_{ij} S(x_i, y_j)$, with $S = 1$ if $x_i > y_j$ and 1/2
    if they are equal. The result is its mean over tasks. Seeds are not paired: X and Y
    are resampled independently.

    Args:
        x: Scores of X, a list with an array `[meta-seeds, seeds]` or `[seeds]` for
            each task, NaN for runs that are missing. Larger is better.
        y: Scores of Y on the same tasks; its meta-seeds and seeds may be others.
        confidence: Level of the interval. Defaults to `0.95`.
        resamples: Number of resamples. Defaults to `10_000`.
        seed: Integer seed of the draws. Defaults to `0`.

    Returns:
        A tuple `(interval, sample)`, see `hierarchical_bootstrap`. Tasks without runs
        of both are left out.

    Raises:
        ValueError: See `hierarchical_bootstrap`.

    Reference:
        [Agarwal et al., 2021](https://arxiv.org/abs/2108.13264), section 4.3.

    Example:
        >>> from lrlearn.evaluation import probability_of_improvement
        >>> interval, _ = probability_of_improvement([[2.0, 3.0]], [[1.0, 3.0]])
        >>> interval.mean
        0.625
    """
    both = [
        pair
        for pair in zip(x, y, strict=True)
        if not any(np.isnan(scores).all() for scores in pair)
    ]
    x, y = (available([pair[side] for pair in both]) for side in (0, 1))
    rng = np.random.default_rng(seed)
    x_counts, y_counts = (cell_counts(side, resamples, rng) for side in (x, y))
    tasks = zip(x, y, x_counts, y_counts, strict=True)
    return interval_of(np.mean([_above(*task) for task in tasks], axis=0), confidence)


def performance_profiles(runs, time, factors, problem=("task",)):
    r"""Returns the fraction of each optimizer's runs that are nearly the fastest.

    $\rho(\tau)$ is the fraction of an optimizer's runs whose time is at most $\tau$
    times that of the fastest run of all on the same problem.

    Args:
        runs: A `pandas.DataFrame`, one row for each run, with a column `optimizer`.
        time: Name of the column of the time to the target, infinite if it was not
            reached.
        factors: Values of $\tau$, each >= 1.
        problem: Names of the columns that name a problem. Defaults to `("task",)`.

    Returns:
        A `pandas.DataFrame`, one row for each factor, one column for each optimizer.

    Reference:
        [Dolan and Moré, 2002](https://doi.org/10.1007/s101070100263).

    Example:
        >>> import numpy as np
        >>> import pandas as pd
        >>> from lrlearn.evaluation import performance_profiles
        >>> runs = pd.DataFrame(
        ...     {
        ...         "task": ["a", "b", "a", "b"],
        ...         "optimizer": ["Adam", "Adam", "SGD", "SGD"],
        ...         "step": [10, 30, 20, np.inf],
        ...     }
        ... )
        >>> performance_profiles(runs, "step", factors=[1, 2])
        optimizer  Adam  SGD
        factor
        1           1.0  0.0
        2           1.0  0.5
    """
    best = runs.groupby(list(problem))[time].transform("min")
    reached = np.isfinite(runs[time])
    rows = [
        (reached & (runs[time] <= factor * best)).groupby(runs["optimizer"]).mean()
        for factor in factors
    ]
    return pd.DataFrame(rows, index=pd.Index(factors, name="factor"))


def _interquartile_means(values, counts):
    """Returns `scipy.stats.trim_mean(np.repeat(values, c), 0.25)` for each row c."""
    total = counts.sum(axis=1, keepdims=True)
    cut = total // 4
    below = np.clip(np.cumsum(counts, axis=1), cut, total - cut)
    kept = np.diff(below, axis=1, prepend=cut)
    return kept @ values / (total - 2 * cut)[:, 0]


def _above(x, y, x_counts, y_counts):
    """Returns P(X > Y) on a task for each row of counts."""
    x, y = x.reshape(-1, 1), y.reshape(1, -1)
    score = (x > y) + (x == y) / 2
    above = np.einsum("bi,ij,bj->b", x_counts, score, y_counts, optimize=True)
    return above / (x_counts.sum(1) * y_counts.sum(1))
