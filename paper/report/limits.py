"""What the rows lack, rest on and came from: facts for the appendices."""

import collections
import pathlib

import numpy as np
import pandas as pd

from paper.grid.cells import Jobs
from paper.grid.grid import GRIDS, TaskName
from paper.grid.optimizers import EMA_MOMENTUM
from paper.report import labels

RESULTS = pathlib.Path(__file__).parents[1] / "results"
_STUCK = 0.12  # test accuracy of a run that has not learned, with ten classes


def provenance(rows):
    """Returns the distinct values of what the rows are signed with, a dict of lists."""
    values = {n: [r[n] for r in rows] for n in ("grid", "commit", "date", "command")}
    values["versions"] = [
        ", ".join(f"{k} {v}" for k, v in row["versions"].items()) for row in rows
    ]
    return {name: list(dict.fromkeys(texts)) for name, texts in values.items()}


def meta_trained_by(rows):
    """Returns commits and commands of meta-trainings that were read from presets.

    They are a dict of lists, `"commit"` and `"command"`, of distinct values.
    """
    origins = [row["meta_trained_by"] for row in rows if "meta_trained_by" in row]
    return {
        name: list(dict.fromkeys(origin[name] for origin in origins))
        for name in ("commit", "command")
    }


def missing(study):
    """Returns the number of runs of the whole grid, and which of them are missing.

    These are a dict from optimizers, `"a, b"`, to what each of them lacks, a text. If
    the grid is not one of `GRIDS`, or had other cells then, the result is `(None, {})`.
    """
    grid = GRIDS.get(study.rows[0]["grid"])
    if grid is None:
        return None, {}
    jobs = Jobs(grid, lambda dataset: {}).all()
    cells = [cell for job in jobs if job.kind == "run" for cell in job.cells]
    there = {frozenset(r["cell"].items()) for r in study.rows if r["kind"] == "run"}
    if not there <= {frozenset(cell.items()) for cell in cells}:
        return None, {}
    lacking = collections.Counter(
        (cell["optimizer"], f"{cell['dataset']}/{cell['network']}", cell["regime"])
        for cell in cells
        if frozenset(cell.items()) not in there
    )
    tasks = {}
    for (optimizer, task, regime), count in lacking.items():
        text = f"{study.task(task, regime)} {regime} ({count})"
        tasks.setdefault(optimizer, []).append(text)
    alike = {}
    for optimizer in labels.in_order(tasks, labels.OPTIMIZERS):
        name = labels.OPTIMIZERS[optimizer]
        alike.setdefault(", ".join(tasks[optimizer]), []).append(name)
    return len(cells), {", ".join(names): text for text, names in alike.items()}


def dials(study):
    """Returns the settings of dials that runs had by default, a dict by regime.

    Each is a text such as `"SAM 0 to 0.1, GSAM 0"`; there is none if rows do not tell.
    """
    found = {}
    for row in study.rows:
        cell = row["cell"]
        own = cell["optimizer"] == f"{cell['rule']} {cell['teacher']}"
        if row["kind"] == "run" and own and row.get("dial") is not None:
            settings = found.setdefault(cell["regime"], {})
            settings.setdefault(cell["teacher"], []).append(row["dial"])
    return {
        regime: ", ".join(
            f"{teacher} {_range(found[regime][teacher])}"
            for teacher in labels.in_order(found[regime], labels.TEACHERS)
        )
        for regime in labels.in_order(found, labels.REGIMES)
    }


def _range(values):
    low, high = min(values), max(values)
    return f"{low:.2g}" if low == high else f"{low:.2g} to {high:.2g}"


def stuck(study):
    """Returns the runs that did not learn: all data sets have ten classes."""
    runs = study.every.runs[study.every.runs["test_accuracy"] < _STUCK]
    counts = runs.value_counts(["regime", "task"])
    tasks = [
        f"{study.task(task, regime)} {regime} {counts[regime, task]}"
        for regime in study.regimes
        for task in labels.TASKS
        if (regime, task) in counts
    ]
    return {
        "limit": 100 * _STUCK,
        "runs": len(runs),
        "learned": (runs["kind"] == "learned").sum(),
        "by_task": ", ".join(tasks),
        "by_optimizer": counted(runs["optimizer"]),
    }


def counted(optimizers):
    """Returns optimizers with the number of times that each is there, as text."""
    counts = collections.Counter(optimizers)
    names = labels.in_order(counts, labels.OPTIMIZERS)
    return ", ".join(f"{labels.OPTIMIZERS[n]} {counts[n]}" for n in names) or "none"


def ends_of_ranges(rows):
    """Returns how many tunings chose an end of their range, and of which optimizers."""
    tunings = [row for row in rows if row["kind"] == "tuning"]
    found = {"lowest": [], "highest": []}
    for row in tunings:
        name = "rho" if "rho" in row["chosen"] else "learning_rate"
        values = [trial[name] for trial in row["trials"]]
        if row["chosen"][name] == 0.0:
            continue  # a dial, which goes no lower
        for key, end in (("lowest", min(values)), ("highest", max(values))):
            if row["chosen"][name] == end:
                found[key].append(row["cell"]["optimizer"])
    return {
        "tunings": len(tunings),
        **{key: len(names) for key, names in found.items()},
        **{f"{key}_of": counted(names) for key, names in found.items()},
    }


def initial_share(study):
    """Returns the fewest steps of Adam-EMA, and what its average keeps of the start."""
    runs = study.every.runs
    steps = runs[runs["optimizer"] == "Adam-EMA"]["steps"].min()
    return steps, EMA_MOMENTUM**steps


def shortened(study):
    """Returns tasks whose runs are shorter than in the grid `full`, a dict of texts.

    Keys are pairs of steps, those of the runs and those of the grid.
    """
    found = {}
    for task, regime, steps in _settings(study.rows):
        name = TaskName(*task.split("/"), regime)
        if name in GRIDS["full"].tasks():
            whole = max(GRIDS["full"].horizons_of(name))
            if steps < whole:
                text = f"{study.task(task, regime)} {regime}"
                found.setdefault((steps, whole), []).append(text)
    return {steps: ", ".join(texts) for steps, texts in found.items()}


def measures(study):
    """Returns what was measured on each task, and on how many examples, as a table."""
    rows = []
    for (task, regime, steps), settings in _settings(study.rows).items():
        measured, data = settings["measures"], settings["regime"]
        size = data["train_size"]
        examples, hessian = (
            min(measured[name], size or measured[name])
            for name in ("sharpness_examples", "eigenvalue_examples")
        )
        rows.append(
            {
                "task": study.task(task, regime),
                "regime": regime,
                "steps": steps,
                "training examples": size or "all",
                "wrong labels": data["label_noise"],
                "batch": data["batch_size"],
                "sharpness examples": examples,
                "ascent points": measured["ascent_steps"],
                "Hessian examples": hessian,
                "most iterations": measured["eigenvalue_iterations"],
            }
        )
    return pd.DataFrame(rows)


def coverage():
    """Returns how often intervals hold the truth in simulations.

    It is a dict of lists of texts: `meta_seeds`, and for the kinds of variance,
    `shared` and `crossed`, the shares in %.
    """
    table = pd.read_csv(RESULTS / "interval_coverage.csv").sort_values("meta_seeds")
    shares = {
        kind: [f"{100 * share:.1f}" for share in found["covered"]]
        for kind, found in table.groupby("variance")
    }
    return {"meta_seeds": [str(n) for n in table["meta_seeds"].unique()], **shares}


def ascent(study):
    """Returns what the cheap search for sharpness misses, by its number of points.

    It is a list of dicts: `points`, the number of `runs`, by how much the search falls
    `short` in %, and `off`: for each LO the factor by which the ratio of that taught by
    SAM to that without teacher is off, as text.
    """
    used = {s["measures"]["ascent_steps"] for s in _settings(study.rows).values()}
    table = pd.read_csv(RESULTS / "ascent_check.csv")
    table = table[table["steps"].isin(used)]
    table = table.query("ball == 'relative' and radius == 0.02")
    return [
        {
            "points": points,
            "runs": len(found),
            "short": 100 * (1 - found["increase_ratio"].min()),
            "off": {
                lo: _factor(rule, found)
                for rule, lo in labels.RULES.items()
                if f"{rule} SAM" in set(found["optimizer"])
            },
        }
        for points, found in table.groupby("steps")
    ]


def _factor(rule, found):
    """The cheap search's ratio of taught to untaught over the strong one's."""
    ratios = found.pivot_table("increase_ratio", ["task", "seed"], "optimizer")
    logs = np.log(ratios[f"{rule} SAM"] / ratios[f"{rule} none"])
    mean, low, high = np.exp([logs.mean(), logs.min(), logs.max()])
    return f"{mean:.2f} [{low:.2f}, {high:.2f}]"


def _settings(rows):
    """The settings of the runs by task, regime and steps."""
    found = {}
    for row in rows:
        if row["kind"] == "run":
            cell = row["cell"]
            task = f"{cell['dataset']}/{cell['network']}"
            key = task, cell["regime"], cell["steps"]
            found.setdefault(key, row["settings"])
    return found
