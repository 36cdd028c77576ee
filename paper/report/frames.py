"""The rows of a grid's store as data frames."""

import dataclasses

import pandas as pd

RUN = ["key", "dataset", "network", "task", "regime", "optimizer", "kind", "rule"]
RUN += ["teacher", "meta_trained", "meta_seed", "seed", "steps"]
METRICS = [
    f"{split}_{metric}"
    for split in ("train", "validation", "test")
    for metric in ("loss", "accuracy")
]
HYPERPARAMETERS = ["learning_rate", "rho", "weight_decay", "base"]
COSTS = ["step", "gradients", "training_cpu_seconds"]
_BALL = ["ball", "radius", "clean_loss", "max_loss", "increase", "max_gradient_norm"]
_END = ["diverged", "cpu_seconds", "parameter_norm"]
_END += ["top_eigenvalue", "top_eigenvalue_converged"]


@dataclasses.dataclass(frozen=True)
class Frames:
    """A store as data frames; all but the last two begin with the columns `RUN`.

    Attributes:
        runs: One row a run, with its hyperparameters and what was measured at its end:
            validation and test data whole, the rest as in the last record.
        records: One row a record of a run, all on the same examples.
        sharpness: One row a record, ball and radius.
        landscapes: One row a point of the plane through a run's parameters.
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
    """Returns the `Frames` of a store's rows, dicts as of `paper.grid.store.read`."""
    runs, tunings, metas = (
        [row for row in rows if row["kind"] == kind]
        for kind in ("run", "tuning", "meta")
    )
    frame = _runs(runs)
    records = [{"key": run["key"], **at} for run in runs for at in run["records"]]
    measured = [record for record in records if "sharpness" in record]
    balls = [{**at, **ball} for at in measured for ball in at["sharpness"]]
    planes = [
        pd.DataFrame(run["end"]["landscape"]).assign(key=run["key"])
        for run in runs
        if "landscape" in run["end"]
    ]
    return Frames(
        runs=frame,
        records=_along(frame, records, [*COSTS, *METRICS]),
        sharpness=_along(frame, balls, ["step", *_BALL]),
        landscapes=_along(
            frame, pd.concat(planes) if planes else [], ["alpha", "beta", "loss"]
        ),
        tuning=_tuning(tunings),
        meta=pd.DataFrame(metas, columns=["key", "cpu_seconds"]),
    )


def with_one_horizon(frames):
    """Returns the `Frames` of the runs of one length for each task and regime.

    That is the length that most runs have, the longer one if as many have another.
    """
    groups = frames.runs.groupby(["task", "regime"], as_index=False)
    horizons = groups["steps"].agg(lambda steps: steps.mode().max())
    kept = ("runs", "records", "sharpness", "landscapes")
    parts = {name: getattr(frames, name).merge(horizons) for name in kept}
    return dataclasses.replace(frames, **parts)


def _runs(rows):
    columns = [*RUN, *HYPERPARAMETERS, *COSTS[1:], *METRICS, *_END]
    # Later parts go first: a run's own seconds are all told.
    found = [
        {
            **row["records"][-1],
            **row["end"],
            **row,
            **row["cell"],
            **row["hyperparameters"],
            "task": _task(row),
            "meta_trained": row["settings"]["meta_trained"],
        }
        for row in rows
    ]
    frame = pd.DataFrame(found, columns=columns)
    # What learned optimizers were meta-trained on is so for all runs of the task.
    trained = frame.groupby(["task", "regime"])["meta_trained"].transform("any")
    return frame.assign(meta_trained=trained.astype(bool)).astype(
        {"meta_seed": "float64", "diverged": bool}
    )


def _along(runs, measured, columns):
    """Returns what was measured along runs, after what names the runs."""
    measured = pd.DataFrame(measured, columns=["key", *columns])
    return runs[RUN].merge(measured, on="key", validate="one_to_many")


def _tuning(rows):
    found = [
        {
            "optimizer": row["cell"]["optimizer"],
            "cpu_seconds": row["cpu_seconds"],
            # There is an entry for each trial and seed.
            "trials": len(row["trials"]) / len(row["settings"]["seeds"]),
        }
        for row in rows
    ]
    return pd.DataFrame(found, columns=["optimizer", "trials", "cpu_seconds"])


def _task(row):
    return f"{row['cell']['dataset']}/{row['cell']['network']}"
