"""Tables of what was tuned and what all of it cost."""

import collections

import pandas as pd

from paper.report import names
from paper.report.frames import HYPERPARAMETERS
from paper.report.tables import layout

_LABELS = {"learning_rate": "lr", "rho": "rho", "weight_decay": "decay", "base": ""}


def hyperparameters(runs):
    """Returns the hyperparameters of each tuned optimizer on each task, as text.

    Args:
        runs: Runs of one regime.

    Returns:
        A `pandas.DataFrame`, one row an optimizer, one column a task.
    """
    tuned = runs[runs["kind"] != "learned"].drop_duplicates(["optimizer", "task"])
    return layout(
        {(row["optimizer"], row["task"]): _chosen(row) for _, row in tuned.iterrows()}
    )


def budgets(tuning):
    """Returns the trials and CPU seconds of tuning, one row an optimizer.

    Args:
        tuning: The frame `Frames.tuning`.
    """
    groups = tuning.groupby("optimizer")
    rows = [
        {
            "optimizer": optimizer,
            "tasks": len(found),
            "trials a task": f"{found['trials'].mean():.3g}",
            "CPU seconds": f"{found['cpu_seconds'].sum():.0f}",
        }
        for optimizer in names.optimizers(tuning["optimizer"])
        for found in [groups.get_group(optimizer)]
    ]
    return pd.DataFrame(
        rows, columns=["optimizer", "tasks", "trials a task", "CPU seconds"]
    )


def costs(frames):
    """Returns CPU seconds by kind of row, and in all.

    Args:
        frames: `Frames`.
    """
    parts = {
        "meta-training": frames.meta,
        "tuning": frames.tuning,
        **{f"runs, {kind}": runs for kind, runs in frames.runs.groupby("kind")},
    }
    rows = [
        (name, len(part), part["cpu_seconds"].sum()) for name, part in parts.items()
    ]
    table = pd.DataFrame(rows, columns=["rows", "number", "CPU seconds"])
    table.loc[len(table)] = ["all", *table[["number", "CPU seconds"]].sum()]
    table["CPU seconds"] = table["CPU seconds"].map("{:.0f}".format)
    return table.astype({"number": int})


def ends_of_ranges(rows):
    """Returns sentences on tunings whose choice lies at an end of its range.

    Args:
        rows: A list of dicts.

    Returns:
        A list of one text, or none where there is no tuning.
    """
    tunings = [row for row in rows if row["kind"] == "tuning"]
    if not tunings:
        return []
    lowest, highest = [], []
    for row in tunings:
        name = "rho" if "rho" in row["chosen"] else "learning_rate"
        values = [trial[name] for trial in row["trials"]]
        for end, found in ((min(values), lowest), (max(values), highest)):
            if row["chosen"][name] == end:
                found.append(row["cell"]["optimizer"])
    return [
        f"Of {len(tunings)} tunings, {len(lowest)} chose the lowest and {len(highest)} "
        "the highest learning rate or radius on offer: there, a wider range might have "
        f"done better. Lowest: {_counted(lowest)}; highest: {_counted(highest)}."
    ]


def _counted(optimizers):
    """Names of optimizers with the number of times that each is there."""
    counts = collections.Counter(optimizers)
    texts = (f"{name} {counts[name]}" for name in names.optimizers(optimizers))
    return ", ".join(texts) or "none"


def _chosen(row):
    found = {name: row[name] for name in HYPERPARAMETERS if pd.notna(row[name])}
    texts = [
        f"{_LABELS[n]} {v if isinstance(v, str) else f'{v:g}'}"
        for n, v in found.items()
    ]
    return ", ".join(text.strip() for text in texts)
