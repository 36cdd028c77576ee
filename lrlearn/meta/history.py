"""The record of a meta-training run."""

import numpy as np
import pandas as pd


class MetaHistory:
    """One row for each meta-step.

    Attributes:
        rows: A list of dicts: `step`, `meta_loss`, `loss` (mean training loss at the
            end of the unrolls), `gradient_norm`, `skipped` (unsound optimizees, left
            out and restarted) and, where meta-validation ran, `score`.
    """

    COLUMNS = ("step", "meta_loss", "loss", "gradient_norm", "skipped", "score")

    def __init__(self, rows=()):
        self.rows = list(rows)

    @property
    def total_skipped(self):
        """Number of optimizees left out so far, over all meta-steps."""
        return int(sum(row["skipped"] for row in self.rows))

    @property
    def history(self):
        """A dict of lists, as in `keras.callbacks.History`."""
        return {
            name: [row.get(name, np.nan) for row in self.rows] for name in self.COLUMNS
        }

    def frame(self):
        """Returns the history as a `pandas.DataFrame`."""
        return pd.DataFrame(self.history)

    def to_array(self):
        """Returns a float64 array `[rows, columns]`."""
        return np.array(list(self.history.values()), "float64").T.copy()

    @classmethod
    def from_array(cls, array):
        """Returns the history of a `to_array`."""
        rows = [dict(zip(cls.COLUMNS, map(float, row), strict=True)) for row in array]
        return cls(rows)
