"""What the report is made from, computed once."""

import functools

from paper.report import labels
from paper.report.claims import END, MATCHED, STOPPED
from paper.report.frames import frames, with_one_horizon
from paper.report.pairs import Measure, final_points, matched_points, matched_ratios


class Study:
    """The rows of a grid's store and what follows from them.

    Attributes:
        rows: The rows.
        every: `Frames` of all of them.
        frames: `Frames` of one horizon for each task and regime.
        regimes: Names of the regimes, in order.
        teachers: Flatness teachers that rules were meta-trained with, in order.
        rules: Names of the update rules, in order.
        tasks: Dict from each regime to its tasks.
        meta_trained: Set of `(task, regime)` that rules were meta-trained on.
        best: Dict from `(task, regime)` to the best tuned baseline.
        jpeg_copy: Whether CIFAR-10's images were decoded from JPEG files.
    """

    def __init__(self, rows):
        _check(rows)
        self.rows, self.every = rows, frames(rows)
        if self.every.runs.empty:
            raise ValueError("The store must hold a run. Received: none")
        self.frames = with_one_horizon(self.every)
        runs = self.frames.runs
        taught = {row["cell"]["teacher"] for row in rows if row["kind"] == "meta"}
        known = labels.FLATNESS_TEACHERS
        self.teachers = [name for name in known if name in taught] or list(known)
        self.regimes = labels.in_order(runs["regime"], labels.REGIMES)
        self.rules = labels.in_order(runs["rule"].dropna(), labels.RULES)
        self.tasks = {
            regime: labels.in_order(
                runs[runs["regime"] == regime]["task"], labels.TASKS
            )
            for regime in self.regimes
        }
        trained = runs[runs["meta_trained"]]
        self.meta_trained = set(zip(trained["task"], trained["regime"], strict=True))
        self.best = best_baselines(runs)
        self.jpeg_copy = any(r["settings"]["data"]["cifar10_jpeg_copy"] for r in rows)

    @functools.cached_property
    def target(self):
        """Validation loss to reach, a `pandas.Series` by task and regime.

        It is 1.05 times the median over tuned Adam's runs of their smallest one.
        """
        records = self.frames.records
        runs = records[records["optimizer"] == "Adam"]
        smallest = runs.groupby(["task", "regime", "key"])["validation_loss"].min()
        # A run without a finite loss reached none.
        smallest = smallest.fillna(float("inf"))
        return 1.05 * smallest.groupby(["task", "regime"]).median()

    def of(self, name, regime):
        """Returns the part of a frame of `Frames` that is of one regime."""
        frame = getattr(self.frames, name)
        return frame[frame["regime"] == regime]

    @functools.cache  # noqa: B019, a study lives as long as the program
    def measure(self, name):
        """Returns the `Measure` that a `Claim` names."""
        runs, records = self.frames.runs, self.frames.records
        if name == END:
            return Measure(runs, final_points, "points")
        if name == STOPPED:
            return Measure(stopped_early(records), final_points, "points")
        if name == MATCHED:
            return Measure(records, matched_points, "points")
        ball, radius, *bracketed = name
        sharpness = self.frames.sharpness
        found = sharpness[(sharpness["ball"] == ball) & (sharpness["radius"] == radius)]
        compare = functools.partial(matched_ratios, bracketed=bool(bracketed))
        return Measure(found, compare, "ratio")

    def has(self, dataset):
        """Returns whether there are runs on a data set."""
        return dataset in set(self.frames.runs["dataset"])

    def about(self, regime):
        """Returns what a regime is, as text: how many images, how many wrong labels."""
        settings = next(
            row["settings"]["regime"]
            for row in self.rows
            if row["kind"] == "run" and row["cell"]["regime"] == regime
        )
        size, wrong = settings["train_size"], settings["label_noise"]
        images = f"{size:,} training images" if size else "all training images"
        noise = f", {100 * wrong:.0f} % of them with a wrong label" if wrong else ""
        return images + noise

    def dataset(self, name):
        """Returns the label of a data set."""
        jpeg = " (JPEG copy)" if name == "cifar10" and self.jpeg_copy else ""
        return labels.DATASETS[name] + jpeg

    def task(self, name, regime):
        """Returns the label of a task, with a dagger if it was meta-trained on."""
        dataset, network = name.split("/")
        dagger = "†" if (name, regime) in self.meta_trained else ""
        return f"{self.dataset(dataset)} {labels.NETWORKS[network]}{dagger}"


def best_baselines(runs):
    """Returns the tuned baseline of best validation accuracy, by task and regime."""
    by = ["task", "regime"]
    baselines = runs[runs["kind"] == "baseline"]
    # Of some of them, the best would be another one.
    present = baselines.groupby(by)["optimizer"].transform("nunique")
    baselines = baselines[present == baselines["optimizer"].nunique()]
    means = baselines.groupby([*by, "optimizer"])["validation_accuracy"].mean()
    best = means.fillna(0.0).groupby(by).idxmax()
    return {(task, regime): optimizer for task, regime, optimizer in best}


def stopped_early(records):
    """Returns the record of best validation accuracy of each run, ties by loss."""
    best = ["validation_accuracy", "validation_loss"]
    ordered = records.sort_values(best, ascending=[False, True], kind="stable")
    return ordered.drop_duplicates("key")


def _check(rows):
    """Checks that rows can be told apart and compared."""
    cells, data = {}, {}
    for row in rows:
        cell = row["kind"], frozenset(row["cell"].items())
        if cells.setdefault(cell, row["key"]) != row["key"]:
            raise ValueError(
                "A cell must have one row: others are of other settings. Received: "
                f"{row['kind']} {row['cell']}, of keys {cells[cell]} and {row['key']}"
            )
        used = row["settings"]["data"]
        if data.setdefault(used["name"], used) != used:
            raise ValueError(
                "Rows must share the data of a data set. Received: "
                f"{data[used['name']]} and, at key {row['key']}, {used}"
            )
