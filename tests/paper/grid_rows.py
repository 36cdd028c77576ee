"""Rows of a grid that nobody ran, with effects that are known and all different."""

import dataclasses
import functools
import itertools
import json
import math

import numpy as np

from paper.grid.grid import Measures

DATASETS = ("mnist", "fashion_mnist", "cifar10")
NETWORKS = ("mlp", "mlp_relu", "cnn")
REGIMES = ("full", "small")
BASELINES = ("SGD-M", "Adam", "RMSprop", "Adam-EMA", "AdamW")
EXPLICIT = ("SAM", "GSAM", "GAM", "late SAM")
RULES = ("LSTM", "MLP")
TEACHERS = ("none", "SAM", "GSAM", "GAM", "L2", "held-out")
META_TRAINED = (("mnist/mlp", "small"), ("mnist/mlp_relu", "small"))
# What an optimizer has: points of test accuracy, and the log of the increase of the
# loss. By test accuracy AdamW is the best baseline, by validation accuracy it never is.
EFFECTS = {
    "SGD-M": (1.2, 0.20),
    "Adam": (0.5, 0.50),
    "RMSprop": (0.8, 0.65),
    "Adam-EMA": (0.6, 0.35),
    "AdamW": (1.4, 0.10),
    "SAM": (3.3, -0.30),
    "GSAM": (2.2, -0.45),
    "GAM": (2.8, -0.55),
    "late SAM": (1.8, -0.05),
    "Adam linear": (1.3, 0.05),
    "untrained": (0.4, 0.70),
    "LSTM none": (0.3, 0.40),
    "LSTM SAM": (2.5, -0.40),
    "LSTM GSAM": (2.0, -0.20),
    "LSTM GAM": (4.5, -0.70),
    "LSTM L2": (0.9, 0.25),
    "LSTM held-out": (1.6, 0.30),
    "MLP none": (0.7, 0.60),
    "MLP SAM": (3.1, -0.10),
    "MLP GSAM": (1.1, -0.25),
    "MLP GAM": (3.7, -0.60),
    "MLP L2": (0.1, 0.15),
    "MLP held-out": (1.9, 0.45),
    "MLP none tuned": (2.4, 0.55),
    "MLP SAM tuned": (3.4, -0.15),
}
# Factors of both: how much of it shows where and, of the increase, in which ball.
SHARES = {"mnist": 1.0, "fashion_mnist": 1.2, "cifar10": 1.5}
SHARES |= {"mlp": 1.0, "mlp_relu": 1.1, "cnn": 1.3, "small": 1.0, "full": 0.6}
BALLS = {
    ("fixed", 0.001): 0.4,
    ("fixed", 0.005): 0.6,
    ("fixed", 0.05): 0.8,
    ("fixed", 0.1): 1.0,
    ("relative", 0.005): 1.2,
    ("relative", 0.02): 1.4,
    ("adaptive", 0.1): 1.6,
}
# The best baseline by validation accuracy, where it is not SGD-M.
OTHER_BEST = {
    ("mnist/mlp_relu", "small"): "RMSprop",
    ("cifar10/mlp_relu", "full"): "Adam",
    ("cifar10/mlp", "full"): "Adam-EMA",
}


@functools.cache
def share(task, regime):
    """Returns the factor of effects on a task, unlike that of any other."""
    return math.prod(SHARES[name] for name in (*task.split("/"), regime))


def gain(optimizer, task, regime):
    """Returns the points of test accuracy that an optimizer has beyond others."""
    return EFFECTS[optimizer][0] * share(task, regime)


def log_increase(optimizer, task, regime, ball, radius):
    """Returns the log of an increase of the loss, beyond what the loss makes it."""
    return EFFECTS[optimizer][1] * share(task, regime) * BALLS[ball, radius]


def best_baseline(task, regime):
    """Returns the baseline of best validation accuracy, if all are there."""
    return OTHER_BEST.get((task, regime), "SGD-M")


def train_loss(optimizer, task, regime, seed, progress=1.0):
    """Returns the training loss after a part of a run: who gains more is faster."""
    speed = 1.0 + 0.1 * seed + 0.02 * EFFECTS[optimizer][0]
    return (2.0 + share(task, regime)) * math.exp(-3 * speed * progress)


def make_rows(
    datasets=DATASETS,
    networks=NETWORKS,
    regimes=REGIMES,
    baselines=BASELINES,
    explicit=EXPLICIT,
    untuned=(),
    rules=RULES,
    teachers=TEACHERS,
    tuned=(),
    meta_seeds=2,
    seeds=2,
    noise=1e-3,
    jpeg=True,
    records=6,
):
    """Returns the rows of every cell; the arguments are the grid's axes.

    `tuned` are names of learned optimizers that are tuned, such as `"MLP none tuned"`.
    """
    rng = np.random.default_rng(0)
    kinds = {"baseline": baselines, "explicit": explicit, "untuned": untuned}
    hand = [(name, kind) for kind, names in kinds.items() for name in names]
    hand = [{"optimizer": o, "kind": k, **_NO_RULE} for o, k in hand]
    names = itertools.product(rules, teachers, range(meta_seeds))
    learned = [_learned(*each) for each in names]
    rows = [_meta(cell) for cell in learned]
    tuned = itertools.product(tuned, range(meta_seeds))
    tuned = [_tuned(*each) for each in tuned]
    for dataset, network, regime in itertools.product(datasets, networks, regimes):
        task = {"dataset": dataset, "network": network, "regime": regime, "steps": 100}
        for cell in [*(c for c in hand if c["kind"] != "untuned"), *tuned]:
            rows.append(_tuning({**cell, **task}, jpeg))
        cells = [*hand, *learned, *tuned]
        for cell, seed in itertools.product(cells, range(seeds)):
            cell = {**cell, **task, "seed": seed}
            rows.append(_run(cell, rng.normal(0, noise), jpeg, records))
    return rows


_MEASURES = json.loads(json.dumps(dataclasses.asdict(Measures().of("small/mnist/mlp"))))
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


def _tuned(name, meta_seed):
    rule, teacher, _ = name.split()
    return {**_learned(rule, teacher, meta_seed), "optimizer": name}


def _key(*names):
    return "-".join(map(str, names)).replace(" ", "_")


def _data(dataset, jpeg):
    return {"name": dataset, "cifar10_jpeg_copy": jpeg and dataset == "cifar10"}


def _meta(cell):
    cell = {name: value for name, value in cell.items() if name != "kind"}
    return {
        **{"kind": "meta", "key": _key("meta", *cell.values()), "cell": cell},
        "settings": {"data": _data("mnist", False)},
        **{"theta": {}, "score": -1.0, "cpu_seconds": 50.0, **_PROVENANCE},
    }


def _tuning(cell, jpeg):
    scores = {"validation_accuracy": 0.8, "validation_loss": 1.0}
    rates = (0.001, 0.01)
    return {
        "kind": "tuning",
        "key": _key("tuning", *cell.values()),
        "cell": cell,
        "settings": {"seeds": [1000], "data": _data(cell["dataset"], jpeg)},
        "trials": [{"learning_rate": r, "seed": 1000, **scores} for r in rates],
        "chosen": _chosen(cell["optimizer"]),
        "cpu_seconds": 4.0,
        **_PROVENANCE,
    }


def _run(cell, noise, jpeg, records):
    records = _records(cell, noise, records)
    return {
        "kind": "run",
        "key": _key(*cell.values()),
        "cell": cell,
        "settings": _settings(cell, jpeg),
        "hyperparameters": _chosen(cell["optimizer"]),
        "diverged": False,
        "cpu_seconds": 2.0,
        "training_cpu_seconds": 1.0,
        "records": records,
        "end": _end(cell, records[-1]),
        **_PROVENANCE,
    }


def _chosen(optimizer):
    tuned = not optimizer.startswith(RULES) or optimizer.endswith(" tuned")
    return {"learning_rate": 0.01} if tuned else {}


def _settings(cell, jpeg):
    seen = _place(cell)[1:] in META_TRAINED
    return {
        "data": _data(cell["dataset"], jpeg),
        "seeds": [cell["seed"]],
        "regime": {"train_size": 1000, "label_noise": 0.2, "batch_size": 64},
        "measures": _MEASURES,
        "meta_trained": cell["kind"] == "learned" and seen,
    }


def _records(cell, noise, count):
    found = []
    for i, step in enumerate(np.linspace(0, cell["steps"], count).round()):
        progress = step / cell["steps"]
        loss = train_loss(*_place(cell), cell["seed"], progress)
        record = {
            "step": int(step),
            "gradients": int(step) * (2 if cell["kind"] == "explicit" else 1),
            "training_cpu_seconds": 0.01 * step * share(*_place(cell)[1:]),
            "parameter_norm": 10.0 + 0.1 * step,
            **{"train_loss": loss, "validation_loss": 1.1 * loss},
            **{"test_loss": 1.2 * loss, **_accuracies(cell, progress, noise)},
        }
        if i % 2 == (count - 1) % 2:
            record["sharpness"] = list(_sharpness(cell, 0.9 * loss, noise))
        found.append(record)
    return found


def _end(cell, record):
    """On all data, losses are a bit higher; the report must not mix them up."""
    found = {f"{s}_accuracy": record[f"{s}_accuracy"] for s in ("validation", "test")}
    found |= {f"{s}_loss": 1.01 * record[f"{s}_loss"] for s in ("validation", "test")}
    found |= {"top_eigenvalue": 5.0, "top_eigenvalue_converged": True}
    if cell["network"] == "mlp" and cell["seed"] == 0:
        found["landscape"] = _landscape(cell)
    return found


def _landscape(cell):
    points = list(itertools.product((-1.0, 0.0, 1.0), repeat=2))
    losses = [train_loss(*_place(cell), 0) + a**2 + 2 * b**2 for a, b in points]
    alpha, beta = map(list, zip(*points, strict=True))
    return {"alpha": alpha, "beta": beta, "loss": losses}


def _place(cell):
    task = f"{cell['dataset']}/{cell['network']}"
    return cell["optimizer"], task, cell["regime"]


def _accuracies(cell, progress, noise):
    optimizer, *task = _place(cell)
    common = 0.5 + 0.3 * progress - 0.01 * cell["seed"] + noise
    ahead = 0.02 if optimizer == best_baseline(*task) else 0.01
    return {
        "train_accuracy": common + 0.1,
        # Those that are no baselines are better and must not count as the best one.
        "validation_accuracy": common + (ahead if cell["kind"] == "baseline" else 0.03),
        "test_accuracy": common + gain(optimizer, *task) / 100,
    }


def _sharpness(cell, loss, noise):
    for ball, radius in BALLS:
        flat = math.exp(log_increase(*_place(cell), ball, radius) + noise)
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
