"""The cells of a grid, their settings and their keys."""

import dataclasses
import hashlib
import json

from lrlearn.evaluation.stacked_sharpness import RADII
from paper.grid.grid import REGIMES
from paper.grid.meta_training import make_rule
from paper.grid.optimizers import (
    BASES,
    LEARNED,
    TEACHERS,
    TUNED,
)

_TUNING_SEED = 1000  # apart from the seeds of the runs


@dataclasses.dataclass(frozen=True)
class Job:
    """What is run in one go: one meta-training, one tuning or the seeds of one cell.

    Attributes:
        kind: `"meta"`, `"tuning"` or `"run"`.
        cells: What is said of each of its rows, dicts.
        settings: What determines the numbers besides, a dict of JSON types.
        needs: Jobs whose rows this one uses, by name.
    """

    kind: str
    cells: tuple
    settings: dict
    needs: dict = dataclasses.field(default_factory=dict)

    @property
    def keys(self):
        """The key of each row: a hash of all that determines it."""
        return [_digest([self.kind, cell, self.settings]) for cell in self.cells]

    @property
    def cell(self):
        """What is common to the cells: the first one."""
        return self.cells[0]


class Jobs:
    """Makes the jobs of a grid.

    A job's settings hold the keys of the jobs that it needs, so that a change of any
    setting changes all keys that depend on it.

    Args:
        grid: A `Grid`.
        data: Function of a data set's name that returns what tells its data from
            others, as JSON types.
    """

    def __init__(self, grid, data):
        self._grid, self._data = grid, data

    def all(self):
        """Returns all jobs: those that others need come before them."""
        ordered = []
        for place in [None, *self._grid.tasks()]:
            ordered += self._meta_jobs() if place is None else self._task_jobs(place)
        return ordered

    def shard(self, index, count):
        """Returns the jobs of shard `index` of `count`; it needs no other shard's.

        A learned optimizer stays in one shard, with its meta-training, and the
        hand-designed ones of a task stay together, with their tuning.

        Args:
            index: From 1 to `count`.
            count: Number of shards.
        """
        units = {}
        return [
            job
            for job in self.all()
            if units.setdefault(_unit(job), len(units)) % count == index - 1
        ]

    def meta(self, name, meta_seed):
        """Returns the meta-training of a learned optimizer."""
        learned, recipe = LEARNED[name], self._grid.recipe
        cell = {
            "optimizer": name,
            "rule": learned.rule,
            "teacher": learned.teacher,
            "meta_seed": meta_seed,
        }
        teacher = TEACHERS[learned.teacher]
        settings = {
            "recipe": dataclasses.asdict(recipe),
            "regime": dataclasses.asdict(REGIMES[recipe.regime]),
            "rule": make_rule(learned.rule, recipe).get_config(),
            "teacher": teacher and [type(teacher).__name__, teacher.get_config()],
            "data": self._data(recipe.dataset),
        }
        return Job("meta", (cell,), _json(settings))

    def tuning(self, name, place, steps):
        """Returns the tuning of a hand-designed optimizer on a task."""
        needs = {}
        if TUNED[name].kind == "explicit":
            needs = {base: self.tuning(base, place, steps) for base in BASES}
        settings = {
            **TUNED[name].describe(),
            "trials": TUNED[name].trials,
            "seeds": [_TUNING_SEED + i for i in range(self._grid.tuning_seeds)],
            **self._task_settings(place, needs),
        }
        cell = {"optimizer": name, "kind": TUNED[name].kind, **_names(place, steps)}
        return Job("tuning", (cell,), _json(settings), needs)

    def run(self, name, place, steps, meta_seed=None):
        """Returns the runs of an optimizer on a task, one for each seed."""
        if name in LEARNED:
            needs = {"theta": self.meta(name, meta_seed)}
            kind, rule, teacher = "learned", LEARNED[name].rule, LEARNED[name].teacher
        else:
            needs = {"tuning": self.tuning(name, place, steps)}
            kind, rule, teacher = TUNED[name].kind, None, None
        dataset, network, regime = place
        measures = self._grid.measures.of(f"{regime}/{dataset}/{network}")
        settings = {
            # Stacked runs may differ in the last bit by what they are stacked with.
            "seeds": list(range(self._grid.seeds)),
            "measures": dataclasses.asdict(measures),
            "radii": RADII,
            "meta_trained": _is_meta_trained(kind, self._grid.recipe, place),
            **self._task_settings(place, needs),
        }
        common = {"optimizer": name, "kind": kind, "rule": rule, "teacher": teacher}
        common |= {**_names(place, steps), "meta_seed": meta_seed}
        cells = tuple({**common, "seed": seed} for seed in settings["seeds"])
        return Job("run", cells, _json(settings), needs)

    def _meta_jobs(self):
        return [
            self.meta(name, meta_seed)
            for meta_seed in range(self._grid.meta_seeds)
            for name in filter(self._grid.includes, LEARNED)
        ]

    def _task_jobs(self, place):
        dataset, network, regime = place
        jobs = []
        for steps in self._grid.horizons_of(regime, dataset, network):
            tuned = [n for n in TUNED if self._grid.includes(n)]
            needed = {*tuned, *(BASES if self._needs_bases(tuned) else ())}
            jobs += [self.tuning(n, place, steps) for n in TUNED if n in needed]
            jobs += [self.run(n, place, steps) for n in tuned]
            jobs += [
                self.run(name, place, steps, meta_seed)
                for name in filter(self._grid.includes, LEARNED)
                for meta_seed in range(self._grid.meta_seeds)
            ]
        return jobs

    def _needs_bases(self, names):
        return any(TUNED[name].kind == "explicit" for name in names)

    def _task_settings(self, place, needs):
        dataset, _, regime = place
        return {
            "regime": dataclasses.asdict(REGIMES[regime]),
            "data": self._data(dataset),
            "needs": {name: job.keys[0] for name, job in needs.items()},
        }


def _names(place, steps):
    dataset, network, regime = place
    return {"dataset": dataset, "network": network, "regime": regime, "steps": steps}


def _is_meta_trained(kind, recipe, place):
    dataset, network, regime = place
    return kind == "learned" and (
        (dataset, regime) == (recipe.dataset, recipe.regime)
        and network in recipe.networks
    )


def _unit(job):
    cell = job.cell
    if cell["optimizer"] in LEARNED:
        return cell["optimizer"], cell["meta_seed"]
    return cell["dataset"], cell["network"], cell["regime"]


def _json(settings):
    return json.loads(json.dumps(settings))


def _digest(content):
    text = json.dumps(content, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]
