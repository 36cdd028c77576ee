"""What the claims about made-up rows come to."""

import numpy as np

from tests.paper.grid_rows import RULES

REGULARIZED = ("SAM", "GSAM", "GAM")
FLAT = (("relative", 0.02), ("fixed", 0.05))
TASKS = [f"{d}/{n}" for d in ("mnist", "cifar10") for n in ("mlp", "mlp_relu", "cnn")]
OTHERS = [task for task in TASKS if task.startswith("mnist/")]
PLACES = [(regime, rule) for regime in ("small", "full") for rule in RULES]
ONE = {"datasets": ("mnist",), "networks": ("mlp",), "regimes": ("full",)}


def ahead(effect, regime, optimizers, references, tasks, *ball):
    """An effect of optimizers beyond that of their references, mean over tasks."""

    def mean(optimizers, task):
        return np.mean([effect(o, task, regime, *ball) for o in optimizers])

    return np.mean(
        [mean(optimizers, task) - mean(references[task], task) for task in tasks]
    )
