"""Executes jobs: meta-trains, tunes, trains, and measures on the way."""

import time

import numpy as np
import tensorflow as tf

import lrlearn
from lrlearn.evaluation import Training
from paper.grid.grid import TaskName
from paper.grid.measurement import Measurement
from paper.grid.meta_training import (
    load_task,
    meta_train,
    rule_in_use,
    trained,
    unpack,
)
from paper.grid.optimizers import (
    BASES,
    LEARNED,
    OPTIMIZERS,
    TUNED,
    LinearDecay,
    set_radius,
)


class Executor:
    """Executes the jobs of a grid; `rows` by key must have those that a job needs.

    Checkpoints of meta-training are kept in `directory`, if it is given. What is there
    in `presets`, a directory, is not meta-trained again.
    """

    def __init__(self, grid, rows, directory=None, presets=None):
        self._grid, self._rows, self._task = grid, rows, None
        self._directory, self._presets = directory, presets

    def __call__(self, job):
        """Returns the rows of a job, a list of dicts, without their provenance."""
        began = time.process_time()
        execute = {"meta": self._meta_train, "tuning": self._tune, "run": self._run}
        results = execute[job.kind](job)
        seconds = round((time.process_time() - began) / len(results), 3)
        return [
            {
                "kind": job.kind,
                "key": key,
                "cell": cell,
                "settings": job.settings,
                **result,
                "cpu_seconds": seconds,
            }
            for key, cell, result in zip(job.keys, job.cells, results, strict=True)
        ]

    def _meta_train(self, job):
        learned, meta_seed = LEARNED[job.cell["optimizer"]], job.cell["meta_seed"]
        name, how = f"{learned.preset}-{meta_seed}", self._grid.meta_training
        if self._presets and (self._presets / name).is_dir():
            return [trained(self._presets / name, learned, meta_seed, how)]
        directory = self._directory and self._directory / name
        return [meta_train(learned, meta_seed, how, directory)]

    def _tune(self, job):
        optimizer, seeds = OPTIMIZERS[job.cell["optimizer"]], job.settings["seeds"]
        fixed = self._base(job) if optimizer.kind == "explicit" else {}
        trials = []
        for trial in optimizer.trials:
            hyperparameters = {**fixed, **trial}
            scores = self._try(job, hyperparameters)
            trials += [
                {**hyperparameters, "seed": seed, **score}
                for seed, score in zip(seeds, scores, strict=True)
            ]
        return [{"trials": trials, "chosen": best(trials)}]

    def _try(self, job, hyperparameters):
        """Returns the scores of a trial, a dict for each seed."""
        task, steps = self._task_of(job.cell), job.cell["steps"]
        training = self._start(job, hyperparameters)
        start = OPTIMIZERS[job.cell["optimizer"]].start(steps)
        if start:
            training.train(start, plain=True)
        training.train(steps)
        return task.measurement.scores(["validation"], training.params, training.state)

    def _base(self, job):
        """Returns the best of the tuned `BASES`: its name and learning rate."""
        trials = [
            {"base": base, **trial}
            for base in BASES
            for trial in self._row(job.needs[base])["trials"]
        ]
        chosen = best(trials)
        return {name: chosen[name] for name in ("base", "learning_rate")}

    def _run(self, job):
        task, cell = self._task_of(job.cell), job.cell
        if "tuning" in job.needs:
            hyperparameters = self._row(job.needs["tuning"])["chosen"]
        else:
            hyperparameters = job.settings["hyperparameters"]
        training = self._start(job, hyperparameters)
        records = task.follow(training, OPTIMIZERS[cell["optimizer"]], cell["steps"])
        ends = task.measurement.end(training.params, training.state)
        return [
            {
                "hyperparameters": hyperparameters,
                "dial": getattr(training.optimizer, "rho", None),
                "diverged": _diverged(run, end),
                "training_cpu_seconds": run[-1]["training_cpu_seconds"],
                "records": run,
                "end": end,
            }
            for run, end in zip(records, ends, strict=True)
        ]

    def _start(self, job, hyperparameters):
        """Returns a `Training` of all seeds, started."""
        task, name = self._task_of(job.cell), job.cell["optimizer"]
        run = hyperparameters, job.settings["seeds"], job.cell["steps"]
        if name not in LEARNED:
            return task.hand_designed(name, *run)
        theta = unpack(self._row(job.needs["theta"])["theta"])
        return task.learned(LEARNED[name], theta, *run)

    def _row(self, job):
        key = job.keys[0]
        if key not in self._rows:
            raise ValueError(
                f"The store must hold the {job.kind} of {job.cell['optimizer']} first. "
                f"Received: no row of key {key}"
            )
        return self._rows[key]

    def _task_of(self, cell):
        name = TaskName(*(cell[field] for field in TaskName._fields))
        if self._task is None or self._task.name != name:
            self._task = None  # one at a time: graphs and data take memory
            self._task = _CompiledTask(name, self._grid)
        return self._task


class _CompiledTask:
    """A task whose runs share compiled graphs."""

    def __init__(self, name, grid):
        self.name, self._measures = name, grid.measures.of(name)
        self._task, self._trainings = load_task(name), {}
        self.measurement = Measurement(self._task, self._measures)

    def hand_designed(self, name, hyperparameters, seeds, steps):
        """Returns a `Training` of all seeds by an optimizer of `TUNED`, started."""
        base, make = hyperparameters.get("base", name), TUNED[name].regularizer
        key = base, make, hyperparameters.get("weight_decay"), len(seeds)
        if key not in self._trainings:
            rho = tf.Variable(0.0)  # one graph serves all radii
            regularizer = make and make()
            set_radius(regularizer, rho)
            optimizer = TUNED[base].make(hyperparameters)
            training = Training(self._task, optimizer, regularizer, len(seeds))
            self._trainings[key] = training, rho
        training, rho = self._trainings[key]
        rate, schedule = hyperparameters["learning_rate"], _schedule(training.optimizer)
        training.start(seeds, None if schedule else rate, steps)
        if schedule:
            schedule.peak.assign(rate)
            schedule.steps.assign(steps)
        rho.assign(hyperparameters.get("rho", 0.0))
        return training

    def learned(self, learned, theta, hyperparameters, seeds, steps):
        """Returns a `Training` of all seeds by a `Learned`, started."""
        rule = rule_in_use(learned)
        key = repr(rule), len(seeds)
        if key not in self._trainings:
            optimizer = lrlearn.LearnedOptimizer(rule, theta)
            self._trainings[key] = Training(self._task, optimizer, count=len(seeds))
        training = self._trainings[key]
        training.start(seeds, hyperparameters.get("learning_rate", 1.0), steps)
        training.optimizer.theta = theta
        if "rho" in rule.run_inputs:
            training.optimizer.rho = hyperparameters.get("rho")
        return training

    def follow(self, training, optimizer, steps):
        """Trains to the end by a `Tuned` or `Learned`; returns each run's records."""
        count, start = self._measures.records, optimizer.start(steps)
        regular = {round(steps * i / count) for i in range(count + 1)}
        sharp = {max(1, round(steps * part)) for part in self._measures.sharpness_at}
        records = []
        for step in sorted({0, start, steps} | regular | sharp):
            if step:
                training.train(step, plain=step <= start)
            common = {
                "step": step,
                "gradients": optimizer.gradients(step, steps),
                "training_cpu_seconds": training.training_cpu_seconds / training.count,
            }
            networks = training.params, training.state
            found = self.measurement.record(*networks, sharpness=step in sharp)
            records.append([common | measured for measured in found])
        return [list(run) for run in zip(*records, strict=True)]


def best(trials):
    """Returns the hyperparameters of best mean validation accuracy, ties by loss.

    Trials are dicts: hyperparameters, `seed`, `validation_accuracy` and
    `validation_loss`. A score that is not a number is the worst.
    """
    scores = {}
    for trial in trials:
        accuracy, loss = trial["validation_accuracy"], trial["validation_loss"]
        names = trial.keys() - {"seed", "validation_accuracy", "validation_loss"}
        chosen = tuple((name, trial[name]) for name in sorted(names))
        scores.setdefault(chosen, []).append((accuracy, -loss))

    def mean(chosen):
        means = np.mean(scores[chosen], axis=0)
        return np.nan_to_num(means, nan=-np.inf).tolist()

    return dict(max(scores, key=mean))


def _schedule(optimizer):
    """Returns the optimizer's `LinearDecay`; `None` if its rate is constant."""
    found = optimizer._learning_rate  # public is only the rate at this step
    return found if isinstance(found, LinearDecay) else None


def _diverged(records, end):
    losses = [f"{split}_loss" for split in ("train", "validation", "test")]
    numbers = [record[n] for record in records for n in (*losses, "parameter_norm")]
    return not np.isfinite([*numbers, *(end[name] for name in losses[1:])]).all()
