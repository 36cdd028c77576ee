"""The record of a meta-training run."""

import itertools
import math

import numpy as np
import pandas as pd


class MetaHistory:
    """One row for each meta-step.

    Attributes:
        rows: A list of dicts: `step`, `meta_loss`, `loss` (mean training loss at the
            end of the unrolls), `gradient_norm`, `skipped` (optimizees that were not
            valid, left out and restarted), `diverged` (those of them whose losses were
            not below the limit), if it was validated, `score` (lower is better), and
            the values of a teacher that adapts, by name.
        untrained_score: The score of the weights that the run started from; infinite
            without meta-validation.
    """

    COLUMNS = (
        "step",
        "meta_loss",
        "loss",
        "gradient_norm",
        "skipped",
        "diverged",
        "score",
    )

    def __init__(self, rows=(), teacher_names=()):
        self.rows = list(rows)
        self.columns = (*self.COLUMNS, *teacher_names)
        self.untrained_score = float("inf")

    @property
    def total_skipped(self):
        """Number of optimizees left out so far, over all meta-steps."""
        return int(sum(row["skipped"] for row in self.rows))

    @property
    def lost(self):
        """The rows at the end in which no optimizee was valid: `theta` stayed."""
        lost = itertools.takewhile(
            lambda row: math.isnan(row["meta_loss"]), reversed(self.rows)
        )
        return list(lost)

    def describe_lost(self, loss_limit):
        """Returns why no optimizee was valid in the rows of `lost`."""
        lost = self.lost
        skipped, diverged = (
            int(sum(row[name] for row in lost)) for name in ("skipped", "diverged")
        )
        return (
            f"in {len(lost)} meta-steps in a row, up to {len(self.rows)}, no optimizee "
            f"was valid. In {diverged} of {skipped} the loss was not below "
            f"{loss_limit:g}; in the others a meta-gradient, a parameter or a state "
            "was not finite"
        )

    @property
    def best(self):
        """The first row of the lowest score, `None` before any meta-validation."""
        scored = [row for row in self.rows if np.isfinite(row.get("score", np.nan))]
        return min(scored, key=lambda row: row["score"], default=None)

    @property
    def history(self):
        """A dict of lists, as in `keras.callbacks.History`."""
        return {
            name: [row.get(name, np.nan) for row in self.rows] for name in self.columns
        }

    def frame(self):
        """Returns the history as a `pandas.DataFrame`."""
        return pd.DataFrame(self.history)

    def arrays(self):
        """Returns all of it, a dict of names to NumPy arrays."""
        rows = np.array(list(self.history.values()), "float64").T.copy()
        return {"history": rows, "untrained_score": np.array(self.untrained_score)}

    def restore(self, arrays):
        """Takes what `arrays` returned."""
        self.rows = [
            dict(zip(self.columns, map(float, row), strict=True))
            for row in arrays["history"]
        ]
        self.untrained_score = float(arrays["untrained_score"])
