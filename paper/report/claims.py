"""The protocol's claims, controls and what was asked later, in tables."""

import dataclasses
import itertools
import math

import numpy as np
import pandas as pd

from lrlearn.evaluation.bootstrap import Interval, verdict
from paper.report import labels
from paper.report.effects import Effect, effect

ENOUGH = 5  # meta-seeds and seeds; with fewer, a verdict is provisional
VERDICTS = ("holds", "undecided", "too few runs", "not measured", "does not hold")
_LEAST = 2  # with fewer, there is none
# Effects that are not worth having, and the signs that are claimed.
MARGINS = {"points": 0.5, "ratio": math.log(1.05)}
_CLAIMED = {"points": 1, "ratio": -1}

# Measures: test accuracy, or the increase of the loss within a ball.
END, STOPPED, MATCHED = "at the end", "stopped early", "at matched loss"
FIXED_05, FIXED_1, RELATIVE_02 = ("fixed", 0.05), ("fixed", 0.1), ("relative", 0.02)
BRACKETED_1 = ("fixed", 0.1, "bracketed")
# Optimizers of a rule, and references.
TAUGHT = tuple(f"{{rule}} {teacher}" for teacher in labels.FLATNESS_TEACHERS)
NONE, L2, HELD_OUT = ("{rule} none",), ("{rule} L2",), ("{rule} held-out",)
HAND, BEST = ("SGD-M", "Adam", "RMSprop"), ("best tuned baseline",)
UNTRAINED = ("untrained",)
TUNED_RATE, TUNED_DIAL = ("{rule} none tuned",), ("{rule} SAM tuned",)


@dataclasses.dataclass(frozen=True)
class Claim:
    """A claim: optimizers are better than references; made for each rule and regime.

    Attributes:
        name: What is claimed; a claim of several parts has one entry a part.
        optimizers: Names, `{rule}` standing for the update rule.
        references: Names as well, or `BEST`, which each task has its own of.
        measure: What is compared: `END`, `STOPPED` or `MATCHED`, or a ball.
        tasks: `"all"`, `"MLP-ReLU"` or `"transfer"`, those not meta-trained on.
        part: What tells an entry from the claim's others.
        cifar10: Whether CIFAR-10 counts.
    """

    name: str
    optimizers: tuple
    references: tuple
    measure: str | tuple
    tasks: str = "all"
    part: str = ""
    cifar10: bool = True

    @property
    def title(self):
        """Its name and its part."""
        return f"{self.name}, {self.part}" if self.part else self.name


CLAIMS = (
    Claim("1. generalization", TAUGHT, NONE, END),
    Claim("1. with SAM only", ("{rule} SAM",), NONE, END),
    Claim("1. with GSAM only", ("{rule} GSAM",), NONE, END),
    Claim("1. with GAM only", ("{rule} GAM",), NONE, END),
    Claim("1. stopped early", TAUGHT, NONE, STOPPED),
    Claim("2. flatness", TAUGHT, NONE, RELATIVE_02, part="relative radius 0.02"),
    Claim("2. flatness", TAUGHT, NONE, FIXED_05, part="fixed radius 0.05"),
    Claim("3. stability, MLP-ReLU", TAUGHT, HAND, FIXED_1, "MLP-ReLU"),
    Claim("3. stability, all tasks", TAUGHT, HAND, FIXED_1),
    Claim("4. transfer", TAUGHT, NONE, END, "transfer"),
)
CONTROLS = (
    Claim("above LO + L2", TAUGHT, L2, END),
    Claim("above LO + held-out", TAUGHT, HELD_OUT, END),
    Claim("above the best tuned baseline", TAUGHT, BEST, END),
    Claim("above the best tuned baseline, stopped early", TAUGHT, BEST, STOPPED),
    Claim("above explicit SAM", TAUGHT, ("SAM",), END),
    Claim("LO above untrained LO", NONE, UNTRAINED, END),
    Claim("LO above tuned Adam", NONE, ("Adam",), END),
    Claim("LO above the best tuned baseline", NONE, BEST, END),
    Claim("LO, tuned rate, above the best tuned baseline", TUNED_RATE, BEST, END),
    Claim("LO + SAM, tuned dial, above the best tuned baseline", TUNED_DIAL, BEST, END),
)
_LATER = (
    Claim("1. at matched loss", TAUGHT, NONE, MATCHED),
    Claim("3. MLP-ReLU, of LO without teacher", NONE, HAND, FIXED_1, "MLP-ReLU"),
)
_WITHOUT_CIFAR10 = ("1. generalization", "1. stopped early", "2. flatness")
_WITHOUT_CIFAR10 += ("3. stability, MLP-ReLU", "4. transfer")
_WITHOUT_CIFAR10 += tuple(claim.name for claim in _LATER)
# Not in the protocol.
EXPLORATIONS = (
    *_LATER,
    Claim("3. MLP-ReLU, to LO without teacher", TAUGHT, NONE, FIXED_1, "MLP-ReLU"),
    Claim("3. MLP-ReLU, bracketed", TAUGHT, HAND, BRACKETED_1, "MLP-ReLU"),
    Claim("3. all tasks, of LO without teacher", NONE, HAND, FIXED_1),
    Claim("LO + L2 above LO", L2, NONE, END),
    Claim("LO + held-out above LO", HELD_OUT, NONE, END),
    *(
        dataclasses.replace(c, name=f"{c.name}, without CIFAR-10", cifar10=False)
        for c in (*CLAIMS, *_LATER)
        if c.name in _WITHOUT_CIFAR10
    ),
)


@dataclasses.dataclass(frozen=True)
class Result:
    """What a claim comes to for one rule and regime.

    Attributes:
        claim: The `Claim`.
        rule: `"LSTM"` or `"MLP"`.
        regime: Name of the regime.
        unit: `"points"` of test accuracy, or `"ratio"`, of which the effect is the log.
        effect: The `Effect`, or `None` if nothing has been measured.
    """

    claim: Claim
    rule: str
    regime: str
    unit: str
    effect: Effect | None

    @property
    def interval(self):
        """The effect's `Interval`, in points or as a ratio."""
        found = self.effect.interval
        return found if self.unit == "points" else Interval(*np.exp(found))

    @property
    def verdict(self):
        """Whether it holds; `verdicts` has that of a claim of several parts."""
        if self.effect is None:
            return "not measured"
        if self._fewer_than(_LEAST):
            return "too few runs"
        return verdict(self.effect.interval, MARGINS[self.unit], _CLAIMED[self.unit])

    @property
    def provisional(self):
        """Whether there are too few meta-seeds or seeds."""
        return self.effect is not None and self._fewer_than(ENOUGH)

    def _fewer_than(self, count):
        counts = (self.effect.meta_seeds, self.effect.seeds)
        return any(n is not None and n < count for n in counts)


def results(study, claims):
    """Returns the `Result`s of claims, by claim, rule and regime."""
    cases = itertools.product(claims, study.rules, study.regimes)
    return [_result(study, *case) for case in cases]


def _result(study, claim, rule, regime):
    def names(templates, task=None):
        if templates == BEST:
            return [study.best.get((task, regime))]
        if templates == TAUGHT:
            templates = [f"{{rule}} {teacher}" for teacher in study.teachers]
        return [name.format(rule=rule) for name in templates]

    tasks = _tasks(claim, study, regime)
    references = {task: names(claim.references, task) for task in tasks}
    measure = study.measure(claim.measure)
    found = effect(measure, regime, names(claim.optimizers), references)
    return Result(claim, rule, regime, measure.unit, found)


def _tasks(claim, study, regime):
    """Returns the tasks of a regime that a claim is about."""
    wanted = {
        "all": lambda task: True,
        "MLP-ReLU": lambda task: task.endswith("/mlp_relu"),
        "transfer": lambda task: (task, regime) not in study.meta_trained,
    }[claim.tasks]
    return [
        task
        for task in study.tasks[regime]
        if wanted(task) and (claim.cifar10 or not task.startswith("cifar10/"))
    ]


def verdicts(results):
    """Returns whether claims hold in all parts: a dict by name, rule and regime."""
    worst_first = tuple(reversed(VERDICTS))
    found = {}
    for result in results:
        key = result.claim.name, result.rule, result.regime
        both = {found.get(key, "holds"), result.verdict}
        found[key] = next(name for name in worst_first if name in both)
    return found


def table(results, verdicts=None):
    """Returns effects as a table, one row a claim, rule and regime.

    Ratios have the numbers of pairs that they rest on.

    Args:
        results: A list of `Result`s.
        verdicts: What `verdicts` returned, to be shown. Defaults to `None`.
    """
    rows = []
    for result in results:
        row, effect, text = _names(result), result.effect, None
        if effect and result.unit == "points":
            text = points(effect)
        elif effect:
            text = ratio(effect)
        if effect and effect.tasks < effect.all_tasks:
            text += f" ({effect.tasks} of {effect.all_tasks} tasks)"
        if verdicts is not None:
            row["verdict"] = verdicts[result.claim.name, result.rule, result.regime]
        rows.append({**row, "effect [95 % interval]": text})
    return pd.DataFrame(rows)


def table_by_meta_seed(results):
    """Returns effects at each meta-seed as a table, as `table` does."""
    rows = []
    for result in results:
        means = result.effect.by_meta_seed if result.effect else ()
        texts = (
            f"{mean:+z.1f}" if result.unit == "points" else f"{np.exp(mean):.2f}"
            for mean in means
        )
        rows.append({**_names(result), "effects": " / ".join(texts) or None})
    return pd.DataFrame(rows)


def _names(result):
    case = f"{labels.RULES[result.rule]} {result.regime}"
    return {"claim": result.claim.title, "case": case}


def points(effect):
    """Returns a difference of accuracy as text, `+1.2 [0.3, 2.1]`."""
    return interval_text(effect.interval, 1, sign="+")


def ratio(effect):
    """Returns a ratio as text, from an effect of its logarithm.

    With the number of matched pairs of all, `1.2 [0.3, 2.1] (6/7)`.
    """
    text = interval_text(np.exp(effect.interval), 2, nothing=1.0)
    return f"{text} ({effect.pairs}/{effect.pairs + effect.left_out})"


def interval_text(interval, digits, nothing=0.0, sign=""):
    """Returns an interval as text.

    One more digit is told if an end would seem to be `nothing` and is not.
    """
    mean, low, high = interval
    ends = [end for end in (low, high) if end != nothing]
    digits += any(round(end - nothing, digits) == 0 for end in ends)
    return f"{mean:{sign}z.{digits}f} [{low:z.{digits}f}, {high:z.{digits}f}]"
