"""The cells of a grid, and the jobs that fill them."""

import dataclasses
import hashlib
import itertools
import json

from lrlearn.evaluation.stacked_sharpness import RADII
from lrlearn.meta import Recipe
from lrlearn.tasks.collections import collection_names
from paper.grid.grid import REGIMES
from paper.grid.meta_training import make_rule, rule_in_use
from paper.grid.optimizers import BASES, LEARNED, OPTIMIZERS, TEACHERS, TUNED

_TUNING_SEED = 1000  # apart from the seeds of the runs


@dataclasses.dataclass(frozen=True)
class Job:
    """One meta-training, one tuning, or the runs of all seeds, computed together.

    Attributes:
        kind: `"meta"`, `"tuning"` or `"run"`.
        cells: Dicts of names and seeds, one for each row that the job makes.
        settings: Everything else that determines the numbers, a dict of JSON types.
        needs: Dict of the jobs whose rows this one uses.
    """

    kind: str
    cells: tuple
    settings: dict
    needs: dict = dataclasses.field(default_factory=dict)

    @property
    def keys(self):
        """The key of each row: a hash of all that determines it."""
        contents = ([self.kind, cell, self.settings] for cell in self.cells)
        texts = (json.dumps(content, sort_keys=True) for content in contents)
        return [hashlib.sha256(text.encode()).hexdigest()[:32] for text in texts]

    @property
    def cell(self):
        """The first cell; the others differ in their seed."""
        return self.cells[0]


class Jobs:
    """Makes the jobs of a grid.

    A job's settings hold the keys of the jobs that it needs: a change of any setting
    changes all keys that depend on it.

    `data` is a function of a data set's name that returns a description of its data, a
    dict of JSON types.
    """

    def __init__(self, grid, data):
        self._grid, self._data = grid, data
        self._learned = [name for name in LEARNED if grid.includes(name)]
        self._tuned = [name for name in TUNED if grid.includes(name)]

    def all(self):
        """Returns all jobs, each after those that it needs."""
        sources = dict.fromkeys(LEARNED[name].source for name in self._learned)
        jobs = [
            self.meta(name, meta_seed)
            for meta_seed in range(self._grid.meta_seeds)
            for name in sources
        ]
        for task in self._grid.tasks():
            for steps in self._grid.horizons_of(task):
                jobs += self._of_task(task, steps)
        return jobs

    def shard(self, index, count):
        """Returns the jobs of shard `index` of `count`, which need no other shard's.

        A learned optimizer is in one shard with its meta-training, and so are the
        hand-designed ones of a task with their tuning. `index` is from 1 to `count`.
        """
        units = {}
        return [
            job
            for job in self.all()
            if units.setdefault(_unit(job), len(units)) % count == index - 1
        ]

    def meta(self, name, meta_seed):
        """Returns the meta-training of a learned optimizer."""
        learned, how = LEARNED[name], self._grid.meta_training
        rule, teacher = make_rule(learned), TEACHERS[learned.teacher]
        recipe = Recipe.of(rule)
        cell = {"optimizer": learned.source, **_names(name, meta_seed)}
        settings = {
            "meta_training": dataclasses.asdict(how),
            "recipe": recipe.get_config(),
            "meta_settings": dataclasses.asdict(
                recipe.meta_settings(**dict(how.settings))
            ),
            "tasks": collection_names(how.collection)[: how.tasks],
            "rule": rule.get_config(),
            "teacher": teacher and [type(teacher).__name__, teacher.get_config()],
            "data": self._data(how.dataset),
            "digits": self._data("digits"),  # in all collections
        }
        return Job("meta", (cell,), _json(settings))

    def tuning(self, name, task, steps, meta_seed=None):
        """Returns the tuning of an optimizer on a task."""
        optimizer, needs = OPTIMIZERS[name], {}
        if optimizer.kind == "explicit":
            needs = {base: self.tuning(base, task, steps) for base in BASES}
        settings = {
            **self._describe(name, meta_seed, needs),
            "trials": optimizer.trials,
            "seeds": [_TUNING_SEED + i for i in range(self._grid.tuning_seeds)],
            **self._task_settings(task, needs),
        }
        cell = self._cell(name, task, steps, meta_seed)
        return Job("tuning", (cell,), _json(settings), needs)

    def run(self, name, task, steps, meta_seed=None):
        """Returns the runs of an optimizer on a task, one for each seed."""
        needs, chosen = {}, {}
        if len(OPTIMIZERS[name].trials) > 1:
            needs["tuning"] = self.tuning(name, task, steps, meta_seed)
        else:
            (hyperparameters,) = OPTIMIZERS[name].trials
            chosen = {"hyperparameters": hyperparameters}
        settings = {
            **self._describe(name, meta_seed, needs),
            **chosen,
            # Stacked runs may differ in the last bit by what they are stacked with.
            "seeds": list(range(self._grid.seeds)),
            "measures": dataclasses.asdict(self._grid.measures.of(task)),
            "radii": RADII,
            "meta_trained": name in LEARNED and self._grid.meta_training.saw(task),
            **self._task_settings(task, needs),
        }
        cell = self._cell(name, task, steps, meta_seed)
        cells = tuple({**cell, "seed": seed} for seed in settings["seeds"])
        return Job("run", cells, _json(settings), needs)

    def _of_task(self, task, steps):
        """Returns the tunings and the runs on a task."""
        hand, learned = (
            [name for name in names if self._grid.runs(name, task)]
            for names in (self._tuned, self._learned)
        )
        explicit = any(TUNED[name].kind == "explicit" for name in hand)
        cases = [
            *((name, None) for name in TUNED if name in {*hand, *(BASES * explicit)}),
            *itertools.product(learned, range(self._grid.meta_seeds)),
        ]
        tuned = [case for case in cases if len(OPTIMIZERS[case[0]].trials) > 1]
        return [
            *(self.tuning(name, task, steps, seed) for name, seed in tuned),
            *(
                self.run(name, task, steps, seed)
                for name, seed in cases
                if name in (*hand, *learned)
            ),
        ]

    def _cell(self, name, task, steps, meta_seed):
        names = {"optimizer": name, "kind": OPTIMIZERS[name].kind}
        return {**names, **_names(name, meta_seed), **task._asdict(), "steps": steps}

    def _describe(self, name, meta_seed, needs):
        """Returns what determines runs besides trials and task; adds to the needs."""
        if name not in LEARNED:
            return TUNED[name].describe()
        needs["theta"] = self.meta(name, meta_seed)
        return {"rule": rule_in_use(LEARNED[name]).get_config()}

    def _task_settings(self, task, needs):
        return {
            "regime": dataclasses.asdict(REGIMES[task.regime]),
            "data": self._data(task.dataset),
            "needs": {name: job.keys[0] for name, job in needs.items()},
        }


def _names(name, meta_seed):
    """Returns the part of a cell that only learned optimizers have."""
    learned = LEARNED.get(name)
    rule, teacher = (learned.rule, learned.teacher) if learned else (None, None)
    return {"rule": rule, "teacher": teacher, "meta_seed": meta_seed}


def _unit(job):
    """Returns what a job shares with all jobs that must be in its shard."""
    cell = job.cell
    if cell["optimizer"] in LEARNED:
        return cell["rule"], cell["teacher"], cell["meta_seed"]
    return cell["dataset"], cell["network"], cell["regime"]


def _json(settings):
    return json.loads(json.dumps(settings))
