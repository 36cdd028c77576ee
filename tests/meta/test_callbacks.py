"""What a run shows and writes."""

import re

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from lrlearn import MetaTrainer
from lrlearn.meta import ProgressBar, TensorBoard
from tests.meta.problems import FAST, RULE, mlp


class _Stop(keras.callbacks.Callback):
    """Stops a run at a meta-step, as `keras.callbacks.EarlyStopping` would."""

    def __init__(self, step):
        super().__init__()
        self._step = step

    def on_train_batch_end(self, batch, logs=None):
        self.model.stop_training = logs["step"] == self._step


@pytest.fixture(scope="module", name="trainer")
def _trainer():
    return MetaTrainer(RULE, [mlp()], **FAST)


def _scalars(directory):
    """Returns the numbers in event files, a dict of tags to lists of steps, values."""
    found = {}
    for file in sorted(map(str, directory.glob("events.out.tfevents.*"))):
        for record in tf.data.TFRecordDataset(file).as_numpy_iterator():
            event = tf.compat.v1.Event.FromString(record)
            for value in event.summary.value:
                number = float(tf.make_ndarray(value.tensor))
                found.setdefault(value.tag, []).append((event.step, number))
    return found


def test_callbacks(trainer, tmp_path, capsys):
    """In one run of six steps with two meta-validations, and another of two."""
    calls = []
    own = keras.callbacks.LambdaCallback(
        on_train_begin=lambda logs: calls.append("begin"),
        on_train_batch_begin=lambda batch, logs: calls.append(batch),
        on_train_batch_end=lambda batch, logs: calls.append(logs["step"]),
        on_train_end=lambda logs: calls.append("end"),
    )
    board = TensorBoard(tmp_path / "logs")
    history = trainer.fit(6, tmp_path / "run", callbacks=[own, board, _Stop(5)])
    assert calls == ["begin", *(x for s in range(5) for x in (s, s + 1.0)), "end"]
    assert trainer.step == 5
    bar = capsys.readouterr().err
    assert re.search(r"5/6 \[\d\d:\d\d<\d\d:\d\d, +[\d.]+ ?(step/s|s/step)", bar)
    score = history.history["score"][2]
    assert "meta-loss " in bar
    shown = f"score (lower is better) {score:.3g}, best {score:.3g} at step 3"
    assert shown in bar

    history = trainer.fit(
        7, tmp_path / "run", callbacks=[TensorBoard(tmp_path / "logs")]
    )
    assert " 7/7 " in capsys.readouterr().err
    rows = history.frame()
    scalars = _scalars(tmp_path / "logs")
    for name in ("meta_loss", "loss", "gradient_norm", "score"):
        logged = rows[["step", name]].dropna().to_numpy()
        np.testing.assert_allclose(scalars[f"meta/{name}"], logged, rtol=1e-6)
    assert [value for _, value in scalars["meta/total_skipped"]] == [0.0] * 7
    csv = pd.read_csv(tmp_path / "run" / "history.csv")
    pd.testing.assert_frame_equal(csv, rows, rtol=1e-12)


def test_no_output(trainer, capsys):
    """`verbose=0` is silent; an error in a callback ends all callbacks' runs."""
    ended = []
    fails = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: 1 / 0,
        on_train_end=lambda logs: ended.append(True),
    )
    with pytest.raises(ZeroDivisionError):
        trainer.fit(trainer.step + 1, callbacks=[fails], verbose=0)
    assert ended == [True]
    assert capsys.readouterr() == ("", "")


def test_progress_bar_starts_where_the_run_does(capsys):
    """The rate is that of this run's steps."""
    bar = ProgressBar()
    bar.set_params({"steps": 10, "initial": 4})
    bar.on_train_begin()
    for _ in range(6):
        bar.on_train_batch_end(0, {"meta_loss": 0.5, "total_skipped": 2})
    bar.on_train_end()
    shown = capsys.readouterr().err
    assert "4/10" in shown and "10/10" in shown and "2 skipped" in shown


def test_events_that_cannot_be_written(tmp_path):
    """An error like that of any other file."""
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="cannot be written to .*/file: Not a dir"):
        TensorBoard(tmp_path / "file").on_train_begin()
