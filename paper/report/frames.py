"""The rows of a grid's store as data frames."""

import dataclasses

import pandas as pd

from paper.grid.rows import KINDS

IDENTIFIERS = [
    "key",
    "dataset",
    "network",
    "task",
    "regime",
    "optimizer",
    "kind",
    "rule",
    "teacher",
    "meta_trained",
    "meta_seed",
    "seed",
    "steps",
]
METRICS = [
    f"{split}_{metric}"
    for split in ("train", "validation", "test")
    for metric in ("loss", "accuracy")
]
HYPERPARAMETERS = ["learning_rate", "rho", "weight_decay", "base"]
_COSTS = ["step", "gradients", "training_cpu_seconds"]
_BALLS = [
    "ball",
    "radius",
    "clean_loss",
    "max_loss",
    "increase",
    "max_gradient_norm",
    "surrogate_gap",
]


@dataclasses.dataclass(frozen=True)
class Frames:
    """A store as data frames.

    Attributes:
        runs: One row a run: `key`, `dataset`, `network`, `task`, `regime`, `optimizer`,
            `kind`, `rule`, `teacher`, `meta_trained` (whether rules were meta-trained
            on this task and regime), `meta_seed`, `seed`, `steps`, the hyperparameters,
            `diverged`, `cpu_seconds`, `training_cpu_seconds`, and at the end losses and
            accuracies (validation and test: on all data), `gradients`,
            `parameter_norm`, `top_eigenvalue` and `top_eigenvalue_converged`.
        records: One row a record: the run's names, `step`, `gradients`,
            `training_cpu_seconds`, losses and accuracies (of all records on the same
            examples) and `parameter_norm`.
        sharpness: One row a record, ball and radius: the run's names, `step`,
            what was measured, and `train_loss` and `parameter_norm` of the record.
        landscapes: One row a point of the plane through a run's parameters: the run's
            names, `alpha`, `beta` and `loss`.
        tuning: One row a task and optimizer that was tuned.
        meta: One row a meta-training.
    """

    runs: pd.DataFrame
    records: pd.DataFrame
    sharpness: pd.DataFrame
    landscapes: pd.DataFrame
    tuning: pd.DataFrame
    meta: pd.DataFrame


def frames(rows):
    """Returns the `Frames` of a store's rows.

    Args:
        rows: A list of dicts such as `paper.grid.store.read` returns.
    """
    stored = {kind: [] for kind in KINDS}
    for row in rows:
        stored[row["kind"]].append(row)
    runs = _runs(stored["run"])
    return Frames(
        runs=runs,
        records=_along(runs, _records(stored["run"])),
        sharpness=_along(runs, _sharpness(stored["run"])),
        landscapes=_along(runs, _landscapes(stored["run"])),
        tuning=_tuning(stored["tuning"]),
        meta=_meta(stored["meta"]),
    )


def with_one_horizon(frames):
    """Returns the `Frames` of the runs of one length for each task and regime.

    That is the length that most runs have, the longer one if as many have another.

    Args:
        frames: `Frames`.
    """
    place = ["task", "regime"]
    steps = frames.runs.groupby(place)["steps"].agg(lambda s: s.mode().max())
    kept = {
        name: frame.join(steps.rename("horizon"), on=place)
        .query("steps == horizon")
        .drop(columns="horizon")
        .reset_index(drop=True)
        for name, frame in vars(frames).items()
        if name != "meta"
    }
    return Frames(**kept, meta=frames.meta)


def _runs(rows):
    places = {
        (_task(row["cell"]), row["cell"]["regime"])
        for row in rows
        if row["settings"].get("meta_trained")
    }
    measured = ["diverged", "cpu_seconds", "training_cpu_seconds", "gradients"]
    last = [*METRICS, "parameter_norm", "top_eigenvalue", "top_eigenvalue_converged"]
    columns = [*IDENTIFIERS, *HYPERPARAMETERS, *measured, *last]
    found = [
        # A run's own seconds are all told; a record's are those until its step.
        {
            **row["records"][-1],
            **row["end"],
            **row,
            **_names(row["cell"]),
            **row["hyperparameters"],
        }
        for row in rows
    ]
    frame = pd.DataFrame(found, columns=columns)
    frame["meta_trained"] = [
        place in places for place in zip(frame["task"], frame["regime"], strict=True)
    ]
    return frame.astype({"meta_seed": "float64", "diverged": bool})


def _records(rows):
    columns = ["key", *_COSTS, *METRICS, "parameter_norm"]
    found = [{"key": row["key"], **at} for row in rows for at in row["records"]]
    return pd.DataFrame(found, columns=columns)


def _sharpness(rows):
    columns = ["key", "step", *_BALLS, "train_loss", "parameter_norm"]
    found = [
        {**at, "key": row["key"], **ball}
        for row in rows
        for at in row["records"]
        for ball in at.get("sharpness", ())
    ]
    return pd.DataFrame(found, columns=columns)


def _landscapes(rows):
    found = [
        pd.DataFrame({"key": row["key"], **row["end"]["landscape"]})
        for row in rows
        if "landscape" in row["end"]
    ]
    columns = ["key", "alpha", "beta", "loss"]
    return pd.concat(found) if found else pd.DataFrame(columns=columns)


def _along(runs, measured):
    """Puts the names of the runs before what was measured along them."""
    return runs[IDENTIFIERS].merge(measured, on="key", validate="one_to_many")


def _tuning(rows):
    columns = ["key", *IDENTIFIERS[1:7], "steps", *HYPERPARAMETERS]
    columns += ["trials", "cpu_seconds"]
    found = [
        {**row, **_names(row["cell"]), **row["chosen"], "trials": _trials(row)}
        for row in rows
    ]
    return pd.DataFrame(found, columns=columns)


def _trials(row):
    """Number of trials: the row has one entry for each of them and seed."""
    return len(row["trials"]) / len(row["settings"]["seeds"])


def _meta(rows):
    columns = ["key", "optimizer", "rule", "teacher", "meta_seed"]
    columns += ["score", "cpu_seconds"]
    return pd.DataFrame([{**row, **row["cell"]} for row in rows], columns=columns)


def _names(cell):
    return {**cell, "task": _task(cell)}


def _task(cell):
    return f"{cell['dataset']}/{cell['network']}"
