"""What the sections of the report are made from, computed once."""

import dataclasses
import functools

from paper.grid.grid import GRIDS
from paper.grid.optimizers import RULES
from paper.report import matched, names, origin
from paper.report.claims import Judge
from paper.report.differences import Accuracy, Matched, stopped_early
from paper.report.frames import Frames, frames, with_one_horizon


@dataclasses.dataclass(frozen=True)
class Content:
    """Rows, frames and what follows from them.

    Attributes:
        rows: The rows of a store, a list of dicts.
        every: `Frames` of all of them.
        frames: `Frames` of one horizon for each task and regime.
    """

    rows: list
    every: Frames
    frames: Frames

    @property
    def regimes(self):
        """The regimes, in order."""
        return names.in_order(self.frames.runs["regime"], names.REGIMES)

    @functools.cached_property
    def rules(self):
        """The rules, in order."""
        return names.in_order(self.frames.runs["rule"].dropna(), RULES)

    @functools.cached_property
    def names(self):
        """`Names` of data sets and tasks."""
        runs = self.frames.runs
        trained = runs[runs["meta_trained"]]
        places = set(zip(trained["task"], trained["regime"], strict=True))
        return names.Names(origin.is_jpeg_copy(self.rows), frozenset(places))

    @functools.cached_property
    def accuracy(self):
        """Differences of accuracy."""
        return Accuracy(self.frames.runs)

    @functools.cached_property
    def matched(self):
        """Sharpness at matched training loss."""
        return Matched(self.frames.sharpness)

    @functools.cached_property
    def stopped(self):
        """Differences of accuracy at the record of best validation accuracy."""
        return Accuracy(stopped_early(self.frames.records))

    @functools.cached_property
    def matched_accuracy(self):
        """Accuracies at matched training loss."""
        return Matched(
            self.frames.records, matched.matched_accuracies, by=("task", "regime")
        )

    @functools.cached_property
    def judge(self):
        """The judge of the claims."""
        return Judge(self.frames.runs, self.accuracy, self.matched, self.tasks)

    @property
    def tasks(self):
        """A dict from each regime to its tasks: the grid's, where that is known."""
        grid = GRIDS.get(origin.grid_name(self.rows))
        runs = self.frames.runs
        found = {r: set(part["task"]) for r, part in runs.groupby("regime")}
        for dataset, network, regime in grid.tasks() if grid else ():
            found.setdefault(regime, set()).add(f"{dataset}/{network}")
        return {regime: names.tasks(tasks) for regime, tasks in found.items()}

    @property
    def best(self):
        """The best tuned baseline by task and regime."""
        return self.judge.best

    @functools.cached_property
    def target(self):
        """Validation losses to reach."""
        return matched.target_losses(self.frames.records)

    def of(self, name, regime):
        """Returns the part of a frame that is of one regime."""
        frame = getattr(self.frames, name)
        return frame[frame["regime"] == regime]


def content(rows):
    """Returns the `Content` of a store's rows.

    Raises:
        ValueError: If there is no run, or `origin.check` refuses the rows.
    """
    origin.check(rows)
    every = frames(rows)
    if every.runs.empty:
        raise ValueError("The store must hold a run. Received: none")
    return Content(rows, every, with_one_horizon(every))
