"""Results of a main job that nobody ran."""

import itertools

import numpy as np
import pandas as pd

from paper import Results

NETWORKS = ("mlp", "mlp_relu", "cnn")
OPTIMIZERS = ("SGD-M", "RMSprop", "Adam", "LO", "LO-SAM", "LO-GSAM", "LO-GAM")
STEPS = (0, 25, 50)
RADII = (0.001, 0.1)
SEEDS = 3


def make_results():
    """Returns random `Results` of every network and optimizer."""
    rng = np.random.default_rng(0)

    def frame(columns, *values, **measured):
        rows = itertools.product(NETWORKS, OPTIMIZERS, range(SEEDS), *values)
        names = ["network", "optimizer", "seed", *columns]
        frame = pd.DataFrame(rows, columns=names)
        measures = {name: rng.uniform(0.1, 0.9, len(frame)) for name in measured}
        return frame.assign(**measures)

    metrics = dict.fromkeys(
        f"{split}_{metric}"
        for split in ("train", "validation", "test")
        for metric in ("loss", "accuracy")
    )
    return Results(
        meta=pd.DataFrame({"rule": ["LO"], "step": [1.0], "score": [-1.0]}),
        trials=pd.DataFrame({"learning_rate": [0.1], "seed": [1000]}),
        trajectories=frame(["step"], STEPS, **metrics),
        sharpness=frame(
            ["radius"], RADII, clean_loss=0, increase=0, max_gradient_norm=0
        ),
    )
