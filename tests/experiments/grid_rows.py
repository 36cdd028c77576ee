"""Rows of a grid that nobody ran, with effects that are known."""

import dataclasses
import itertools
import math

import numpy as np

from lrlearn.experiments.grid.grid import Measures

DATASETS = ("mnist", "fashion_mnist", "cifar10")
NETWORKS = ("mlp", "mlp_relu", "cnn")
REGIMES = ("full", "small")
BASELINES = ("SGD-M", "Adam", "RMSprop", "Adam-EMA", "AdamW")
EXPLICIT = ("SAM", "GSAM", "GAM", "late SAM")
RULES = ("LSTM", "MLP")
TEACHERS = ("none", "SAM", "GSAM", "GAM", "L2", "held-out")
BALLS = {
    "fixed": (0.001, 0.005, 0.05, 0.1),
    "relative": (0.005, 0.02),
    "adaptive": (0.1,),
}
# Test accuracy beyond that of the task, and the increase of the loss at equal loss.
GAIN = {"none": 0.0, "SAM": 0.02, "GSAM": 0.01, "GAM": 0.03, "L2": 0.0, "held-out": 0}
FLAT = {"none": 1.0, "SAM": 0.5, "GSAM": 0.5, "GAM": 0.5, "L2": 1.0, "held-out": 1.0}


def make_rows(
    datasets=DATASETS,
    networks=NETWORKS,
    regimes=REGIMES,
    baselines=BASELINES,
    explicit=EXPLICIT,
    rules=RULES,
    teachers=TEACHERS,
    meta_seeds=2,
    seeds=2,
    noise=1e-3,
    jpeg=True,
    records=6,
):
    """Returns the rows of every cell; the arguments are the grid's axes."""
    rng = np.random.default_rng(0)
    hand = [*((o, "baseline") for o in baselines), *((o, "explicit") for o in explicit)]
    learned = list(itertools.product(rules, teachers, range(meta_seeds)))
    rows = [_meta(*names) for names in learned]
    for dataset, network, regime in itertools.product(datasets, networks, regimes):
        task = {"dataset": dataset, "network": network, "regime": regime, "steps": 100}
        for optimizer, kind in hand:
            rows.append(_tuning({"optimizer": optimizer, "kind": kind, **task}, jpeg))
        cells = [{"optimizer": o, "kind": k, **_NO_RULE} for o, k in hand]
        cells += [_learned(*names) for names in learned]
        for cell, seed in itertools.product(cells, range(seeds)):
            cell = {**cell, **task, "seed": seed}
            rows.append(_run(cell, rng.normal(0, noise), jpeg, records))
    return rows


_MEASURES = dataclasses.asdict(Measures().of("small/mnist/mlp"))
_NO_RULE = {"rule": None, "teacher": None, "meta_seed": None}
_PROVENANCE = {
    "grid": "made_up",
    "commit": "0123456789",
    "command": "python -m binaries.grid --grid=made_up",
    "date": "2026-01-01",
    "versions": {"keras": "3"},
}


def _learned(rule, teacher, meta_seed):
    names = {"rule": rule, "teacher": teacher, "meta_seed": meta_seed}
    return {"optimizer": f"{rule} {teacher}", "kind": "learned", **names}


def _key(*names):
    return "-".join(map(str, names)).replace(" ", "_")


def _meta(rule, teacher, meta_seed):
    cell = _learned(rule, teacher, meta_seed)
    del cell["kind"]
    row = {"kind": "meta", "key": _key("meta", *cell.values()), "cell": cell}
    found = {"settings": {}, "theta": {}, "score": -1.0, "cpu_seconds": 50.0}
    return {**row, **found, **_PROVENANCE}


def _tuning(cell, jpeg):
    rates = (0.001, 0.01)
    trials = [
        {
            "learning_rate": rate,
            "seed": 1000,
            "validation_accuracy": 0.8,
            "validation_loss": 1.0,
        }
        for rate in rates
    ]
    return {
        "kind": "tuning",
        "key": _key("tuning", *cell.values()),
        "cell": cell,
        "settings": {"seeds": [1000], **settings(jpeg)},
        "trials": trials,
        "chosen": {"learning_rate": rates[-1]},
        "cpu_seconds": 4.0,
        **_PROVENANCE,
    }


def settings(jpeg):
    """Returns what the report reads of a cell's settings."""
    return {"data": {"cifar10_jpeg_copy": jpeg}}


def _run(cell, noise, jpeg, records):
    teacher = cell["teacher"]
    speed = 1.0 + 0.1 * cell["seed"]
    # SGD-M is the best of those made by hand.
    gain = GAIN[teacher] if teacher else {"SGD-M": 0.01}.get(cell["optimizer"], 0.0)
    flat = FLAT[teacher] if teacher else 1.0
    steps = np.linspace(0, cell["steps"], records).round()
    found = []
    for i, step in enumerate(steps):
        loss = 2.3 * math.exp(-speed * step / cell["steps"] * 3)
        accuracy = 0.9 - 0.2 * loss + gain + noise
        record = {
            "step": int(step),
            "gradients": int(step) * (2 if cell["kind"] == "explicit" else 1),
            "training_cpu_seconds": 0.01 * step,
            "parameter_norm": 10.0,
        }
        for split in ("train", "validation", "test"):
            record |= {f"{split}_loss": loss, f"{split}_accuracy": accuracy}
        if i % 2 == (len(steps) - 1) % 2:
            record["sharpness"] = list(_sharpness(loss, flat * math.exp(noise)))
        found.append(record)
    found[-1] |= {"top_eigenvalue": 5.0, "top_eigenvalue_converged": True}
    return {
        "kind": "run",
        "key": _key(*cell.values()),
        "cell": cell,
        "settings": {
            **settings(jpeg),
            "seeds": [cell["seed"]],
            "regime": {"train_size": 1000, "label_noise": 0.2, "batch_size": 64},
            "measures": _MEASURES,
            "meta_trained": cell["kind"] == "learned"
            and (cell["dataset"], cell["regime"]) == ("mnist", "small")
            and cell["network"] != "cnn",
        },
        "hyperparameters": {} if teacher else {"learning_rate": 0.01},
        "gradients_per_step": 1,
        "diverged": False,
        "cpu_seconds": 2.0,
        "training_cpu_seconds": 1.0,
        "records": found,
        **_PROVENANCE,
    }


def _sharpness(loss, flat):
    for ball, radii in BALLS.items():
        for radius in radii:
            increase = flat * radius * loss**0.5
            yield {
                "ball": ball,
                "radius": radius,
                "clean_loss": loss,
                "max_loss": loss + increase,
                "increase": increase,
                "max_gradient_norm": flat * loss**0.5,
                "surrogate_gap": 0.9 * increase,
            }
