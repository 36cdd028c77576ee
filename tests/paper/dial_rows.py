"""Rows of dials that nobody turned, whose curves are known."""

import copy

import numpy as np

from paper.grid.optimizers import DIAL
from tests.paper.grid_rows import make_rows

# Accuracy in full falls by a point a setting, that in small rises by two; L2's less.
FULL = 90.0 - np.arange(len(DIAL))
SMALL = {"SAM": 70.0 + 2.0 * np.arange(len(DIAL)), "L2": 69.0 + np.arange(len(DIAL))}


def make_dial_rows(datasets=("mnist",), networks=("mlp", "mlp_relu"), **axes):
    """Returns the rows of `make_rows`, and those of all settings of both dials."""
    rows = make_rows(datasets=datasets, networks=networks, **axes)
    plain = [row for row in rows if row["cell"]["optimizer"] in ("MLP SAM", "MLP L2")]
    for row in plain:
        if row["kind"] == "run":
            rows += [_turned(row, i) for i in range(len(DIAL))]
    return rows


def _turned(row, i):
    row = copy.deepcopy(row)
    name = f"{row['cell']['optimizer']} {DIAL[i]:g}"
    row["cell"]["optimizer"], row["key"] = name, f"{row['key']}-{DIAL[i]:g}"
    percent = FULL if row["cell"]["regime"] == "full" else SMALL[row["cell"]["teacher"]]
    seed, meta_seed = row["cell"]["seed"], row["cell"]["meta_seed"]
    # Differences that both teachers share do not count.
    row["end"]["test_accuracy"] = (percent[i] + 3 * meta_seed + 5 * seed) / 100
    return row
