"""Learning rates chosen on validation data."""

import pandas as pd


def tune_learning_rate(training, learning_rates, steps, seeds):
    """Returns the learning rate of the best validation accuracy, and all trials.

    Ties, and tasks without an accuracy, are decided by the validation loss. Test data
    are not looked at.

    Args:
        training: A `Training`.
        learning_rates: Learning rates to try.
        steps: Number of steps of each trial.
        seeds: Seeds of the trials.

    Returns:
        A tuple `(learning_rate, trials)`: a float, and a `pandas.DataFrame` of
        `learning_rate`, `seed`, `validation_accuracy` and `validation_loss`.
    """
    trials = pd.DataFrame(
        {"learning_rate": rate, "seed": seed, **_final(training, steps, seed, rate)}
        for rate in learning_rates
        for seed in seeds
    )
    # A mean would pass over the NaN of a trial that diverged.
    losses = trials["validation_loss"].fillna(float("inf"))
    mean = trials.assign(minus_loss=-losses).groupby("learning_rate").mean()
    best = mean.sort_values(["validation_accuracy", "minus_loss"], ascending=False)
    return float(best.index[0]), trials


def _final(training, steps, seed, learning_rate):
    last = training.run(steps, seed, learning_rate).iloc[-1]
    return {name: last[name] for name in ("validation_accuracy", "validation_loss")}
