"""Executes jobs: what is computed for one meta-training, tuning or set of runs."""

import time

import numpy as np

from paper.grid.bench import Bench
from paper.grid.meta_training import meta_train, unpack
from paper.grid.optimizers import BASES, LEARNED, OPTIMIZERS, TUNED


class Executor:
    """Executes the jobs of a grid.

    Args:
        grid: A `Grid`.
        rows: Dict of rows by key, those that later jobs need; it is read only.
    """

    def __init__(self, grid, rows):
        self._grid, self._rows = grid, rows
        self._place, self._bench = None, None
        self._execute = {"meta": self._meta, "tuning": self._tune, "run": self._run}

    def __call__(self, job):
        """Returns a list of rows, dicts, without their provenance."""
        began = time.process_time()
        results = self._execute[job.kind](job)
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

    def _meta(self, job):
        name, meta_seed = job.cell["optimizer"], job.cell["meta_seed"]
        return [meta_train(LEARNED[name], meta_seed, self._grid.recipe)]

    def _tune(self, job):
        bench, cell = self._bench_of(job.cell), job.cell
        fixed = self._base(job) if cell["kind"] == "explicit" else {}
        trials = []
        for trial in TUNED[cell["optimizer"]].trials:
            hyperparameters = {**fixed, **trial}
            trials += self._try(bench, job, hyperparameters)
        return [{"trials": trials, "chosen": best(trials)}]

    def _try(self, bench, job, hyperparameters):
        """Returns one trial, a dict a seed."""
        seeds, steps = job.settings["seeds"], job.cell["steps"]
        name = job.cell["optimizer"]
        training = bench.hand_designed(name, hyperparameters, seeds)
        start = TUNED[name].start(steps)
        if start:
            training.train(start, plain=True)
        training.train(steps)
        scores = bench.measurement.scores(
            ["validation"], training.params, training.state
        )
        return [
            {**hyperparameters, "seed": seed, **found}
            for seed, found in zip(seeds, scores, strict=True)
        ]

    def _base(self, job):
        """Returns the better of the tuned `BASES`: its name and learning rate."""
        rows = {base: self._row(job.needs[base]) for base in BASES}
        chosen = best(
            [{"base": base, **t} for base, row in rows.items() for t in row["trials"]]
        )
        return {name: chosen[name] for name in ("base", "learning_rate")}

    def _run(self, job):
        bench, cell, seeds = self._bench_of(job.cell), job.cell, job.settings["seeds"]
        if cell["kind"] == "learned":
            hyperparameters = {}
            theta = unpack(self._row(job.needs["theta"])["theta"])
            training = bench.learned(cell["rule"], theta, seeds)
        else:
            hyperparameters = self._row(job.needs["tuning"])["chosen"]
            training = bench.hand_designed(cell["optimizer"], hyperparameters, seeds)
        records = _follow(training, bench, cell)
        ends = _end(training, bench)
        return [
            {
                "hyperparameters": hyperparameters,
                "diverged": _diverged(run, end),
                "training_cpu_seconds": run[-1]["training_cpu_seconds"],
                "records": run,
                "end": end,
            }
            for run, end in zip(records, ends, strict=True)
        ]

    def _row(self, job):
        key = job.keys[0]
        if key not in self._rows:
            raise ValueError(
                f"The store must hold the {job.kind} of {job.cell['optimizer']} first. "
                f"Received: no row of key {key}"
            )
        return self._rows[key]

    def _bench_of(self, cell):
        place = cell["dataset"], cell["network"], cell["regime"]
        if place != self._place:
            # One at a time: graphs and data take memory.
            self._bench = None
            self._place, self._bench = place, Bench(place, self._grid)
        return self._bench


def _follow(training, bench, cell):
    """Trains to the end; returns K lists of records."""
    steps, optimizer = cell["steps"], OPTIMIZERS[cell["optimizer"]]
    measurement, measures = bench.measurement, bench.measures
    start = getattr(optimizer, "start", lambda steps: 0)(steps)
    regular = {round(steps * i / measures.records) for i in range(measures.records + 1)}
    sharp = {max(1, round(steps * fraction)) for fraction in measures.sharpness_at}
    records = [[] for _ in range(training.count)]
    for step in sorted({0, start, steps} | regular | sharp):
        if step:
            training.train(step, plain=step <= start)
        params, state = training.params, training.state
        common = {
            "step": step,
            "gradients": optimizer.gradients(step, steps),
            "training_cpu_seconds": training.training_cpu_seconds / training.count,
        }
        found = measurement.losses(params, state)
        if step in sharp:
            rows = measurement.sharpness(params, state)
            found = [f | {"sharpness": r} for f, r in zip(found, rows, strict=True)]
        for run, measured in zip(records, found, strict=True):
            run.append(common | measured)
    return records


def _end(training, bench):
    """Returns what is measured at the end only, K dicts; scores on all examples."""
    networks, measurement = (training.params, training.state), bench.measurement
    scores = measurement.scores(["validation", "test"], *networks)
    curvature = measurement.curvature(*networks)
    ends = [s | c for s, c in zip(scores, curvature, strict=True)]
    if bench.measures.landscape_points:
        ends[0]["landscape"] = measurement.landscape(*networks)
    return ends


def best(trials):
    """Returns the hyperparameters of best mean validation accuracy, ties by loss.

    Args:
        trials: A list of dicts: hyperparameters, `seed`, `validation_accuracy` and
            `validation_loss`. One that is not a number is the worst.
    """
    measured = ("seed", "validation_accuracy", "validation_loss")
    scores = {}
    for trial in trials:
        names = tuple(sorted((k, v) for k, v in trial.items() if k not in measured))
        scores.setdefault(names, []).append(
            (trial["validation_accuracy"], -trial["validation_loss"])
        )
    means = {
        names: np.nan_to_num(np.mean(values, axis=0), nan=-np.inf).tolist()
        for names, values in scores.items()
    }
    return dict(max(means, key=means.get))


def _diverged(records, end):
    names = [f"{split}_loss" for split in ("train", "validation", "test")]
    numbers = [
        record[name] for record in records for name in (*names, "parameter_norm")
    ]
    return not np.isfinite([*numbers, *(end[name] for name in names[1:])]).all()
