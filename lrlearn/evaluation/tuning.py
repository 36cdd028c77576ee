"""Learning rates are tuned on validation data."""

import pandas as pd


def tune_learning_rate(training, learning_rates, steps, seeds):
    """Returns the learning rate of the best validation accuracy, and all trials.

    Ties, and tasks without an accuracy or with a metric of their own, are decided by
    the validation loss. Test data are not looked at.

    Args:
        training: A `Training`.
        learning_rates: Learning rates to try.
        steps: Number of steps of each trial.
        seeds: Seeds of the trials, see `Training.run`.

    Returns:
        A tuple `(learning_rate, trials)`: a float, and a `pandas.DataFrame` of
        `learning_rate`, `seed`, `validation_<metric>` and `validation_loss`.
    """
    if training.task.validation is None:
        raise ValueError(
            "`training` must be of a task with validation data. Received: "
            f"{training.task.name}"
        )
    ends = [
        training.run(steps, seeds, rate)
        .groupby("seed")
        .tail(1)
        .assign(learning_rate=rate)
        for rate in learning_rates
    ]
    trials = pd.concat(ends, ignore_index=True)
    trials = trials[["learning_rate", "seed", *trials.filter(like="validation_")]]
    # A mean would pass over the NaN of a trial that diverged.
    losses = trials["validation_loss"].fillna(float("inf"))
    mean = trials.assign(minus_loss=-losses).groupby("learning_rate").mean()
    criteria = [c for c in ("validation_accuracy", "minus_loss") if c in mean]
    best = mean.sort_values(criteria, ascending=False)
    return float(best.index[0]), trials
