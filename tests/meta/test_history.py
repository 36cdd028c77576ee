"""The record of a run."""

import numpy as np
import pandas as pd

from lrlearn.meta.history import MetaHistory

ROWS = [
    {"step": 1.0, "meta_loss": 0.5, "loss": 2.0, "gradient_norm": 1.0, "skipped": 2.0},
    {
        "step": 2.0,
        "meta_loss": np.nan,
        "loss": np.nan,
        "gradient_norm": np.nan,
        "skipped": 1.0,
        "score": 0.25,
    },
]


def test_history():
    """As in Keras, and as a data frame; NaN where there is no value."""
    history = MetaHistory(ROWS)
    assert history.total_skipped == 3
    assert history.history["step"] == [1.0, 2.0]
    np.testing.assert_array_equal(history.history["score"], [np.nan, 0.25])
    assert list(history.frame().columns) == list(MetaHistory.COLUMNS)
    assert history.best is history.rows[1]
    assert MetaHistory(ROWS[:1]).best is None


def test_array_round_trip():
    """Also of a history without rows."""
    for rows in (ROWS, []):
        history = MetaHistory(rows)
        history.untrained_score = 0.5
        again = MetaHistory()
        again.restore(history.arrays())
        assert len(again.rows) == len(rows) and again.untrained_score == 0.5
        pd.testing.assert_frame_equal(again.frame(), history.frame())
