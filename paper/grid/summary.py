"""The results of a grid in one table."""

import pandas as pd

from lrlearn.evaluation import summarize

_BY = ["dataset", "network", "regime", "optimizer"]


def summary_table(rows):
    """Returns means ± half of the 95 % interval, by task and optimizer, as text.

    They are of test accuracy and training loss at the end, and of the largest increase
    of the loss within each radius.
    """
    runs = pd.DataFrame([_ends(row) for row in rows if row["kind"] == "run"])
    columns = [name for name in runs.columns if name not in _BY]
    summary = summarize(runs, _BY, columns)
    cells = {name: summary[name].apply(_cell, axis=1) for name in columns}
    return pd.DataFrame(cells).rename_axis(_BY)


def _ends(row):
    """Returns the names of a run and its numbers at the end."""
    last = row["records"][-1]
    balls = [ball for ball in last["sharpness"] if ball["ball"] == "fixed"]
    return {
        **{name: row["cell"][name] for name in _BY},
        "test accuracy %": 100 * row["end"]["test_accuracy"],
        "train loss": last["train_loss"],
        **{f"increase r={ball['radius']:g}": ball["increase"] for ball in balls},
    }


def _cell(row):
    return f"{row['mean']:.3g} ± {row['interval']:.2g}"
