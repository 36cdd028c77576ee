"""Tables of the report: text in data frames, optimizers in rows, tasks in columns."""

import numpy as np
import pandas as pd

from lrlearn.evaluation.aggregates import (
    interquartile_mean,
    probability_of_improvement,
)
from paper.report import effects, labels
from paper.report.claims import END, interval_text, points, ratio
from paper.report.effects import aligned, crossed, effect, intervals
from paper.report.frames import HYPERPARAMETERS

_SHORT = {"learning_rate": "lr", "rho": "rho", "weight_decay": "decay", "base": ""}
_TIMES = ["step", "gradients", "training_cpu_seconds"]
_CELL = ["optimizer", "task"]


class Tables:
    """Makes the tables of one regime; each is a `pandas.DataFrame` of text."""

    def __init__(self, study, regime):
        self._study, self._regime = study, regime
        self._runs = study.of("runs", regime)
        found = labels.in_order(self._runs["optimizer"], labels.OPTIMIZERS)
        learned = set(self._runs[self._runs["kind"] == "learned"]["optimizer"])
        self.learned = [o for o in found if o in learned]
        self.hand = [o for o in found if o not in learned]
        self.explicit = [o for o in self.hand if o in labels.EXPLICIT]

    def accuracy(self):
        """Returns the test accuracy at the end in %; bold is the best of a task."""
        percent = self._runs.assign(percent=100 * self._runs["test_accuracy"])
        return self._measured(percent, "percent", ".1f", best=True)

    def at_end(self, column):
        """Returns a column of the runs, as it is at the end."""
        return self._measured(self._runs, column)

    def increase(self, ball, radius):
        """Returns the increase of the loss within a ball at the end."""
        frame = self._study.of("sharpness", self._regime)
        found = frame.query("ball == @ball and radius == @radius and step == steps")
        return self._measured(found, "increase")

    def compared(self, measure, rows, reference):
        """Returns effects of optimizers, one column a task and one for their mean.

        Args:
            measure: As in `Claim`.
            rows: List of the optimizers' names.
            reference: A name, or `"none"` for the LO without teacher, or `"best"` for
                the best baseline of each task.
        """
        cells = {}
        for optimizer in rows:
            parts = {task: [task] for task in self._tasks} | {"all tasks": self._tasks}
            for column, tasks in parts.items():
                found = self._effect(measure, optimizer, reference, tasks)
                if found:
                    text = points(found) if measure == END else ratio(found)
                    cells[optimizer, column] = text
        return self._named(_layout(cells))

    def all_balls(self):
        """Returns ratios to the LO without teacher on all tasks, one column a ball."""
        balls = self._study.of("sharpness", self._regime)[["ball", "radius"]]
        cells = {}
        for ball, radius in balls.drop_duplicates().itertuples(index=False):
            for optimizer in self.learned:
                found = self._effect((ball, radius), optimizer, "none", self._tasks)
                if found:
                    cells[optimizer, f"{ball} {radius:g}"] = ratio(found)
        return _layout(cells)

    def times(self, unit):
        """Returns medians of the time to the target, and how many runs reached it."""
        records = self._study.of("records", self._regime)
        times = time_to_target(records, self._study.target)
        cells = {}
        for key, found in times.groupby(["optimizer", "task"])[unit]:
            median, reached = np.median(found), np.isfinite(found).sum()
            middle = f"{median:.3g}" if unit.endswith("seconds") else f"{median:.0f}"
            if not np.isfinite(median):
                middle = "not by half" if reached else "never"
            cells[key] = f"{middle} ({reached}/{len(found)})"
        return self._named(_layout(cells))

    def targets(self):
        """Returns the losses to reach, a dict from the label of a task."""
        places = [(task, self._regime) for task in self._tasks]
        target = self._study.target
        return {self._study.task(*p): target[p] for p in places if p in target}

    def best(self):
        """Returns the label of each task's best tuned baseline, a dict."""
        places = [(task, self._regime) for task in self._tasks]
        best = self._study.best
        names = labels.OPTIMIZERS
        return {self._study.task(*p): names[best[p]] for p in places if p in best}

    def aggregates(self):
        """Returns means, interquartile means and probabilities of improvement."""
        groups = self._runs.assign(points=100 * self._runs["test_accuracy"])
        tables = {}
        for (task, name), runs in groups.groupby(["task", "optimizer"], sort=False):
            tables.setdefault(name, {})[task] = crossed(runs, "points")
        adam = tables.get("Adam", {})
        cells = {}
        for name, own in tables.items():
            none = tables.get(f"{name.split()[0]} none", {})
            found = self._effect(END, name, "Adam", adam)
            fewer = (
                f" ({len(own)} of {len(adam)} tasks)" if len(own) < len(adam) else ""
            )
            cells |= {
                (name, "mean"): points(found) + fewer if found else None,
                (name, "IQM"): _interquartile(own, adam),
                (name, "P(above LO without teacher)"): _above(own, none),
                (name, "P(above tuned Adam)"): _above(own, adam),
            }
        return _layout(cells)

    def hyperparameters(self):
        """Returns what was chosen for each tuned optimizer on each task.

        Of learned ones it is what was chosen at each meta-seed, in order.
        """
        by_hand = self._runs["kind"].isin(["baseline", "explicit"])
        tuned = self._runs[by_hand | self._runs["optimizer"].isin(labels.TUNED)]
        tuned = tuned.sort_values("meta_seed").drop_duplicates([*_CELL, "meta_seed"])
        cells = {
            cell: " / ".join(_chosen(run) for _, run in runs.iterrows())
            for cell, runs in tuned.groupby(_CELL)
        }
        return self._named(_layout(cells))

    def converged(self):
        """Returns in how many runs the power iteration converged, and of how many."""
        found = self._runs["top_eigenvalue_converged"].dropna().astype(bool)
        return found.sum(), len(found)

    @property
    def _tasks(self):
        return self._study.tasks[self._regime]

    def _measured(self, frame, column, digits=".3g", best=False):
        """Means ± half of their intervals; runs that were not measured diverged."""
        diverged = self._runs[self._runs["diverged"]]["key"]
        frame = frame[frame[column].notna() | frame["key"].isin(diverged)]
        means = intervals(frame, ["task", "optimizer"], column)
        broken = frame[frame["key"].isin(diverged)]
        marked = set(zip(broken["optimizer"], broken["task"], strict=True))
        top = means.groupby("task")["mean"].transform("max")
        cells = {}
        for row, is_best in zip(means.itertuples(), means["mean"] >= top, strict=True):
            text = f"{row.mean:{digits}}" if np.isfinite(row.mean) else "∞"
            text = f"**{text}**" if is_best and best else text
            if np.isfinite(row.half):
                text += f" ± {row.half:{digits.replace('3g', '2g')}}"
            key = row.optimizer, row.task
            cells[key] = f"{text} ‡" if key in marked else text
        return self._named(_layout(cells))

    def _effect(self, measure, optimizer, reference, tasks):
        others = {task: self._reference(optimizer, reference, task) for task in tasks}
        others = {task: [name] for task, name in others.items() if name != optimizer}
        measure = self._study.measure(measure)
        return effect(measure, self._regime, [optimizer], others)

    def _reference(self, optimizer, reference, task):
        if reference == "none":
            return f"{optimizer.split()[0]} none"
        if reference == "best":
            return self._study.best.get((task, self._regime))
        return reference

    def _named(self, table):
        names = {t: self._study.task(t, self._regime) for t in table if "/" in t}
        return table.rename(columns=names)


def time_to_target(records, target):
    """Returns when each run first reached its task's target, one row a run.

    That is the first record at which the validation loss is not above the target,
    nothing being interpolated. `step`, `gradients` and `training_cpu_seconds` are
    infinite if there is none. Runs on tasks without a target are left out.
    """
    targets = target.rename("target").reset_index()
    records = records.merge(targets, on=["task", "regime"]).sort_values("step")
    runs = records[["key", "task", "regime", "optimizer"]].drop_duplicates("key")
    reached = records[records["validation_loss"] <= records["target"]]
    first = reached.drop_duplicates("key")[["key", *_TIMES]]
    times = runs.merge(first, on="key", how="left")
    return times.fillna(dict.fromkeys(_TIMES, np.inf))


def costs(frames):
    """Returns CPU seconds by kind of row, and in all."""
    runs = {f"runs, {kind}": runs for kind, runs in frames.runs.groupby("kind")}
    parts = {"meta-training": frames.meta, "tuning": frames.tuning, **runs}
    seconds = {name: list(part["cpu_seconds"]) for name, part in parts.items()}
    seconds["all"] = sum(seconds.values(), [])
    rows = [(name, len(part), f"{sum(part):.0f}") for name, part in seconds.items()]
    return pd.DataFrame(rows, columns=["rows", "number", "CPU seconds"])


def budgets(tuning):
    """Returns the trials and CPU seconds of tuning, one row an optimizer."""
    cells = {}
    for name, found in tuning.groupby("optimizer"):
        cells |= {
            (name, "tunings"): len(found),
            (name, "trials each"): f"{found['trials'].mean():.3g}",
            (name, "CPU seconds"): f"{found['cpu_seconds'].sum():.0f}",
        }
    return _layout(cells)


def _layout(cells):
    """A frame from a dict of `(optimizer, column)` to text, in the report's order."""
    rows = labels.in_order((optimizer for optimizer, _ in cells), labels.OPTIMIZERS)
    columns = labels.in_order((column for _, column in cells), labels.TASKS)
    table = [
        [labels.OPTIMIZERS[o], *(cells.get((o, column)) for column in columns)]
        for o in rows
    ]
    return pd.DataFrame(table, columns=["optimizer", *columns])


def _chosen(run):
    found = {name: run[name] for name in HYPERPARAMETERS if pd.notna(run[name])}
    texts = [
        f"{_SHORT[name]} {value if isinstance(value, str) else f'{value:g}'}".strip()
        for name, value in found.items()
    ]
    return ", ".join(texts)


def _interquartile(own, adam):
    shared = [own[task] - adam[task].mean(axis=None) for task in own if task in adam]
    if not shared:
        return None
    scores = aligned(shared)
    interval, _ = interquartile_mean(scores, resamples=effects.RESAMPLES)
    return interval_text(interval, 1, sign="+")


def _above(own, others):
    shared = [task for task in own if task in others]
    if own is others or not shared:
        return None
    x, y = (aligned([side[task] for task in shared]) for side in (own, others))
    interval, _ = probability_of_improvement(x, y, resamples=effects.RESAMPLES)
    return interval_text(interval, 2, nothing=0.5)
