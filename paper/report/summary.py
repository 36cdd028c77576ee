"""The results of a grid in one table."""

import pandas as pd

from paper.report.effects import intervals

_BY = ["dataset", "network", "regime", "steps", "optimizer"]
_RUN = [*_BY, "meta_seed", "seed"]


def summary_table(rows):
    """Returns means ± half of the 95 % interval, by task and optimizer, as text.

    They are of test accuracy and training loss at the end, and of the largest increase
    of the loss within each radius; intervals are those of `intervals`.
    """
    runs = pd.DataFrame([_ends(row) for row in rows if row["kind"] == "run"])
    runs["meta_seed"] = runs["meta_seed"].astype("float64")
    cells = {
        name: intervals(runs, _BY, name).set_index(_BY).apply(_cell, axis=1)
        for name in runs.columns.difference(_RUN, sort=False)
    }
    return pd.DataFrame(cells).rename_axis(_BY)


def _ends(row):
    """Returns the names of a run and its numbers at the end."""
    last = row["records"][-1]
    balls = [ball for ball in last["sharpness"] if ball["ball"] == "fixed"]
    return {
        **{name: row["cell"][name] for name in _RUN},
        "test accuracy %": 100 * row["end"]["test_accuracy"],
        "train loss": last["train_loss"],
        **{f"increase r={ball['radius']:g}": ball["increase"] for ball in balls},
    }


def _cell(row):
    return f"{row['mean']:.3g} ± {row['half']:.2g}"
