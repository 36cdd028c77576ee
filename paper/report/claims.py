"""The claims, judged as `paper/PROTOCOL.md` says."""

import dataclasses
import math

from lrlearn.evaluation.bootstrap import verdict
from paper.report import names
from paper.report.differences import flatness
from paper.report.effects import Effect, effect

POINTS, RATIO = "points", "ratio"
ENOUGH = 5  # meta-seeds and seeds; with fewer, a verdict is provisional
# Effects that are not worth having, and the signs that are claimed.
MARGINS = {POINTS: 0.5, RATIO: math.log(1.05)}
_CLAIMED = {POINTS: 1, RATIO: -1}
GENERALIZATION, FLATTER, TRANSFER = "1. generalization", "2. flatness", "4. transfer"
STABLE_RELU, STABLE = "3. stability, MLP-ReLU", "3. stability, all tasks"
FLATNESS = (("relative", 0.02), ("fixed", 0.05))
STABILITY = (("fixed", 0.1),)
STEADY = ("SGD-M", "Adam", "RMSprop")
_PLACE = ["task", "regime"]


@dataclasses.dataclass(frozen=True)
class Part:
    """A part of a claim: one effect.

    Attributes:
        name: What tells it from the other parts.
        effect: The `Effect`, or `None` where nothing has been measured.
        unit: `"points"` of test accuracy, or `"ratio"`, of which the effect is the log.
    """

    name: str
    effect: Effect | None
    unit: str

    @property
    def verdict(self):
        """Whether the claim holds, as `evaluation.bootstrap.verdict` says it."""
        if self.effect is None:
            return "not measured"
        return verdict(self.effect.interval, MARGINS[self.unit], _CLAIMED[self.unit])


@dataclasses.dataclass(frozen=True)
class Claim:
    """A claim about one regime and rule.

    Attributes:
        name: What is claimed.
        regime: Name of the regime.
        rule: `"LSTM"` or `"MLP"`.
        parts: Tuple of `Part`s.
    """

    name: str
    regime: str
    rule: str
    parts: tuple

    @property
    def verdict(self):
        """It holds if all parts do, and does not if one does not."""
        verdicts = [part.verdict for part in self.parts]
        worst_first = ("does not hold", "not measured", "undecided", "holds")
        return next(verdict for verdict in worst_first if verdict in verdicts)

    @property
    def provisional(self):
        """Whether there are too few meta-seeds or seeds."""
        effects = [part.effect for part in self.parts if part.effect]
        counts = [n for e in effects for n in (e.meta_seeds, e.seeds) if n is not None]
        return any(n < ENOUGH for n in counts)


class Judge:
    """Judges the claims.

    Args:
        runs: The frame `Frames.runs`.
        accuracy: An `Accuracy`.
        matched: A `Matched`.
        tasks: Dict from each regime to its tasks, of which some may lack runs.

    Attributes:
        best: What `best_baselines` returns.
    """

    def __init__(self, runs, accuracy, matched, tasks):
        self._accuracy, self._matched, self._tasks = accuracy, matched, tasks
        self._trained = set(runs[runs["meta_trained"]].groupby(_PLACE).groups)
        self.best = best_baselines(runs)

    def claims(self, regime, rule):
        """Returns the paper's claims about a regime and rule, a list of `Claim`s."""
        tasks = self._tasks[regime]
        relu = with_relu(tasks)
        learned, none = regularized(rule), [f"{rule} none"]
        claims = {
            GENERALIZATION: self.gain(regime, learned, tasks, none),
            **{
                f"1. with {o.split()[-1]} only": self.gain(regime, [o], tasks, none)
                for o in learned
            },
            FLATTER: self.flatness(regime, learned, tasks, none, FLATNESS),
            STABLE_RELU: self.flatness(regime, learned, relu, STEADY, STABILITY),
            STABLE: self.flatness(regime, learned, tasks, STEADY, STABILITY),
            TRANSFER: self.gain(regime, learned, self.unseen(tasks, regime), none),
        }
        return [Claim(name, regime, rule, parts) for name, parts in claims.items()]

    def controls(self, regime, rule):
        """Returns what goes beyond the paper, as `claims` does."""
        references = {
            "minus LO L2": [f"{rule} L2"],
            "minus LO held-out": [f"{rule} held-out"],
            "minus the best tuned baseline": None,
            "minus explicit SAM": ["SAM"],
        }
        gains = {
            name: self.gain(regime, regularized(rule), self._tasks[regime], reference)
            for name, reference in references.items()
        }
        return [Claim(name, regime, rule, parts) for name, parts in gains.items()]

    def tasks(self, regime):
        """Returns the tasks of a regime, a list."""
        return self._tasks[regime]

    def unseen(self, tasks, regime):
        """Returns those of the tasks that rules were not meta-trained on."""
        return [task for task in tasks if (task, regime) not in self._trained]

    def gain(self, regime, optimizers, tasks, references, measure=None):
        """Returns the parts of a claim on test accuracy: one.

        Args:
            regime: Name of the regime.
            optimizers: List of the optimizers' names.
            tasks: List of tasks.
            references: List of the references' names; `None` for each task's best
                baseline.
            measure: What measures points. Defaults to accuracy at the end.
        """
        best = {task: self.best.get((task, regime)) for task in tasks}
        against = {task: references or [best[task]] for task in tasks}
        found = effect(measure or self._accuracy, regime, optimizers, against)
        return (Part("", found, POINTS),)

    def flatness(self, regime, optimizers, tasks, references, balls, bracketed=False):
        """Returns the parts of a claim on flatness at matched loss, one a ball."""
        against = dict.fromkeys(tasks, references)
        measures = [
            (f"{ball} {radius:g}", flatness(self._matched, ball, radius, bracketed))
            for ball, radius in balls
        ]
        return tuple(
            Part(name, effect(measure, regime, optimizers, against), RATIO)
            for name, measure in measures
        )


def best_baselines(runs):
    """Returns the tuned baseline of best validation accuracy, by task and regime.

    Args:
        runs: The frame `Frames.runs`.

    Returns:
        A dict from `(task, regime)` to an optimizer's name.
    """
    baselines = runs[runs["kind"] == "baseline"]
    # Of some of them, the best would be another one.
    present = baselines.groupby(_PLACE)["optimizer"].transform("nunique")
    baselines = baselines[present == baselines["optimizer"].nunique()]
    means = baselines.groupby([*_PLACE, "optimizer"])["validation_accuracy"].mean()
    best = means.fillna(0.0).groupby(_PLACE).idxmax()
    return {(task, regime): optimizer for task, regime, optimizer in best}


def with_relu(tasks):
    """Returns those of the tasks whose network is the MLP-ReLU."""
    return [task for task in tasks if task.endswith("/mlp_relu")]


def regularized(rule):
    """Returns the names of a rule's learned optimizers with a regularizer."""
    return [f"{rule} {teacher}" for teacher in names.REGULARIZED]
