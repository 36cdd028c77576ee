"""The tables of one regime."""

import pandas as pd

from paper.report import costs, names, tables
from paper.report.differences import flatness
from paper.report.document import Heading, Paragraph, Table

_BALLS = (("fixed", 0.05), ("relative", 0.02), ("adaptive", 0.1))
_TIMES = {
    "step": "Steps",
    "gradients": "Gradient evaluations",
    "training_cpu_seconds": "CPU seconds of training",
}


class Regime:
    """Makes the tables of one regime.

    Args:
        content: A `Content`.
        regime: Name of the regime.
    """

    def __init__(self, content, regime):
        self._content, self._regime = content, regime
        self._runs = content.of("runs", regime)
        self._tasks = names.tasks(self._runs["task"])
        found = names.optimizers(self._runs["optimizer"])
        learned = set(self._runs[self._runs["kind"] == "learned"]["optimizer"])
        self._learned = [o for o in found if o in learned]
        self._hand = [o for o in found if o not in learned]

    def section(self):
        """Returns the blocks."""
        return [
            Heading(f"Regime `{self._regime}`"),
            Paragraph(
                "Means ± half of the 95 % bootstrap interval over meta-seeds, where "
                "there are any, and seeds; bold: the largest mean on a task. † "
                "meta-trained on this task; ‡ runs of this cell diverged; – not there."
            ),
            *self._accuracies(),
            *self._at_the_end(),
            *self._sharpness(),
            *self._times(),
            *self._aggregates(),
            *self._tuned(),
        ]

    def _accuracies(self):
        against = "Points of test accuracy {}, with 95 % bootstrap intervals"
        explicit = [o for o in self._hand if o in names.EXPLICIT]
        accuracy = 100 * self._runs["test_accuracy"]
        return [
            *self._measured(
                "Test accuracy at the end, %",
                self._runs.assign(percent=accuracy),
                "percent",
                ".1f",
                True,
            ),
            *self._gains(against.format("above LO none"), self._learned, self._none),
            *self._gains(
                against.format("above the best tuned baseline"),
                [*explicit, *self._learned],
                lambda optimizer, task: self._content.best.get((task, self._regime)),
            ),
            *self._best(),
            *self._gains(
                against.format("above explicit SAM"), self._learned, lambda o, t: "SAM"
            ),
        ]

    def _best(self):
        best = {t: self._content.best.get((t, self._regime)) for t in self._tasks}
        texts = [
            f"{self._content.names.task(task, self._regime)} {name}"
            for task, name in best.items()
            if name
        ]
        listed = "; ".join(texts)
        text = f"Best tuned baseline, by validation accuracy at the end: {listed}."
        return [Paragraph(text)] if texts else []

    def _at_the_end(self):
        converged = self._runs["top_eigenvalue_converged"].dropna().astype(bool)
        return [
            *self._measured("Training loss at the end", self._runs, "train_loss"),
            *self._measured("Norm of the parameters", self._runs, "parameter_norm"),
            *self._measured(
                "Top eigenvalue of the Hessian", self._runs, "top_eigenvalue"
            ),
            Paragraph(
                f"The power iteration converged in {converged.sum()} of "
                f"{len(converged)} runs; elsewhere the eigenvalue is an estimate."
            ),
        ]

    def _sharpness(self):
        blocks = [
            Heading("Sharpness", 3),
            Paragraph(
                "Increase: the largest loss found within a ball, minus the loss at its "
                "center. Raw values mostly show the loss itself, so only the "
                "comparison at matched training loss is fair. Ratios: geometric means "
                "over pairs of runs (matched pairs / all pairs)."
            ),
        ]
        for ball, radius in _BALLS:
            blocks += self._ball(ball, radius)
        return blocks + self._all_balls()

    def _ball(self, ball, radius):
        name = f"{ball} radius {radius:g}"
        frame = self._content.of("sharpness", self._regime)
        frame = frame[(frame["ball"] == ball) & (frame["radius"] == radius)]
        frame = frame[frame["step"] == frame["steps"]]
        measure = flatness(self._content.matched, ball, radius)
        matched = f"Increase at matched training loss, {name}, ratio to"
        others = [o for o in (*self._hand, *self._learned) if o != "Adam"]
        ratios = tables.ratio_of_pairs
        return [
            *self._measured(f"Increase at the end, {name}", frame, "increase"),
            *self._compared(
                f"{matched} LO none", measure, self._learned, self._none, ratios
            ),
            *self._compared(
                f"{matched} tuned Adam", measure, others, lambda o, t: "Adam", ratios
            ),
        ]

    def _all_balls(self):
        sharpness = self._content.of("sharpness", self._regime)
        balls = sharpness[["ball", "radius"]].drop_duplicates()
        rows = [o for o in self._learned if self._none(o, None)]
        columns = {}
        for ball, radius in balls.itertuples(index=False):
            table = tables.compared(
                flatness(self._content.matched, ball, radius),
                self._regime,
                rows,
                self._tasks,
                self._none,
                tables.ratio_of_pairs,
                each=False,
            )
            if len(table):
                columns[f"{ball} {radius:g}"] = table.set_index("optimizer")[
                    "all tasks"
                ]
        title = "Increase at matched training loss, all tasks, ratio to LO none"
        return _titled(title, pd.DataFrame(columns).reset_index())

    def _times(self):
        target = self._content.target
        if target.empty:
            return []
        records = self._content.of("records", self._regime)
        texts = [
            f"{self._content.names.task(task, regime)} {loss:.3g}"
            for (task, regime), loss in target.items()
            if regime == self._regime
        ]
        if not texts:
            return []
        about = (
            "Until the validation loss is at most 1.05 times the median over seeds of "
            "the smallest one of tuned Adam, on the validation examples of records. "
            "Medians over runs (runs that reached it / all). CPU seconds are shares: "
            "the seeds of a cell run together, stacked. "
            f"Targets: {'; '.join(texts)}."
        )
        blocks = [Heading("Time to a target", 3), Paragraph(about)]
        for unit, title in _TIMES.items():
            blocks += self._block(title, tables.target_times(records, target, unit))
        return blocks

    def _aggregates(self):
        return [
            Heading("All tasks together", 3),
            Paragraph(
                "Test accuracy minus that of tuned Adam, points: mean over tasks, and "
                "IQM, the interquartile mean over runs and tasks, which leaves out "
                "those that collapse. P: probability that a run is above one of the "
                "other, of whatever seed and meta-seed, mean over tasks. With 95 % "
                "bootstrap intervals."
            ),
            Table(tables.aggregates(self._content.accuracy, self._regime)),
        ]

    def _tuned(self):
        return self._block("Tuned hyperparameters", costs.hyperparameters(self._runs))

    def _none(self, optimizer, task):
        rule, teacher = optimizer.split(" ", 1)
        return None if teacher == "none" else f"{rule} none"

    def _measured(self, title, frame, column, digits=".3g", best=False):
        diverged = self._runs[self._runs["diverged"]]["key"]
        known = frame[column].notna() | frame["key"].isin(diverged)
        table = tables.measured(frame[known], column, digits, best, diverged)
        return self._block(title, table)

    def _gains(self, title, rows, references):
        accuracy, text = self._content.accuracy, tables.points
        return self._compared(title, accuracy, rows, references, text)

    def _compared(self, title, measure, rows, references, text):
        table = tables.compared(
            measure, self._regime, rows, self._tasks, references, text
        )
        return self._block(title, table)

    def _block(self, title, table):
        name = self._content.names.task
        columns = {t: name(t, self._regime) for t in table.columns if "/" in t}
        return _titled(title, table.rename(columns=columns))


def _titled(title, table):
    return [Paragraph(f"**{title}**"), Table(table)] if len(table) else []
