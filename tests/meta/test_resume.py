"""A run that was stopped goes on as if it had not been."""

import os
import signal

import keras
import numpy as np
import pandas as pd
import pytest

from lrlearn import MetaTrainer
from lrlearn.meta import NRES, PES, GapFeedback, LearnedMixture
from lrlearn.regularizers import SAM
from lrlearn.rules import ScheduledMLP
from tests.meta.problems import ADAM_RULE, FAST, mlp, quadratic

pytestmark = pytest.mark.long

# With state of every kind: the features', the rule's and the model's own.
TASKS = [mlp(lambda: keras.layers.BatchNormalization())]
STEPS = 8


def _trainer(rule=ADAM_RULE, tasks=TASKS, **changes):
    settings = {**FAST, "seed": 3, "optimizees_per_task": 2, **changes}
    return MetaTrainer(rule, tasks, **settings)


def _state(trainer):
    """Everything that a run has come to, arrays as bytes."""
    arrays = {**trainer._weights.arrays(), **trainer._pool.arrays()}
    arrays |= trainer._teaching.arrays()
    arrays |= {f"result/{name}": value for name, value in trainer.theta.items()}
    arrays |= trainer.history.arrays()
    return {name: value.tobytes() for name, value in arrays.items()}


def _assert_same(trainer, expected):
    arrays = _state(trainer)
    assert arrays.keys() == expected.keys()
    assert [n for n, value in arrays.items() if value != expected[n]] == []


def test_workers_go_on_from_the_step_that_all_have(tmp_path, uninterrupted):
    """One may have saved a later one before it was killed."""
    _trainer().fit(5, tmp_path, checkpoint_every=1, verbose=0)
    ahead = _trainer()
    ahead._workers.least = lambda step: step - 1
    restored = []
    callback = keras.callbacks.LambdaCallback(
        on_train_begin=lambda _: restored.append(ahead.step)
    )
    ahead.fit(STEPS, tmp_path, callbacks=callback, verbose=0)
    assert restored == [4]
    _assert_same(ahead, uninterrupted)


def test_a_worker_without_checkpoints_does_not_undo_the_others(tmp_path):
    """Unless they have only their first, before which it may have been killed."""
    for steps, may_start in ((1, True), (2, False)):
        _trainer().fit(steps, tmp_path, checkpoint_every=1, verbose=0)
        trainer = _trainer()
        trainer._workers.least = lambda step: 0
        if may_start:
            trainer.fit(1, tmp_path, verbose=0)
            continue
        with pytest.raises(ValueError, match="2 meta-steps here, none of another"):
            trainer.fit(3, tmp_path, verbose=0)
        assert (tmp_path / "checkpoint-00000002.safetensors").exists()


def _files(path):
    files = (file for file in path.iterdir() if file.name != ".lock")
    return {file.name: file.read_bytes() for file in files}


@pytest.fixture(scope="module", name="uninterrupted")
def _uninterrupted():
    trainer = _trainer()
    trainer.fit(STEPS, verbose=0)
    assert trainer._pool.slots[0].episode > 1
    assert trainer.history.frame()["score"].count() == 2
    return _state(trainer)


class _PressCtrlC(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        if logs["step"] == 5:
            os.kill(os.getpid(), signal.SIGINT)


def test_resume_is_exact(tmp_path, uninterrupted):
    """From a checkpoint, and from one that was written on Ctrl-C."""
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        first = _trainer()
        first.fit(2, tmp_path, verbose=0)
        with pytest.raises(KeyboardInterrupt):
            first.fit(STEPS, tmp_path, callbacks=[_PressCtrlC()], verbose=0)
    finally:
        signal.signal(signal.SIGINT, previous)
    assert first.step == 5
    assert (tmp_path / "checkpoint-00000005.safetensors").exists()
    second = _trainer()
    history = second.fit(STEPS, tmp_path, verbose=0)
    _assert_same(second, uninterrupted)
    assert len(history.rows) == STEPS
    assert not list(tmp_path.glob("*.part"))
    csv = pd.read_csv(tmp_path / "history.csv")
    pd.testing.assert_frame_equal(csv, history.frame(), rtol=1e-12)


def test_truncated_checkpoints(tmp_path, uninterrupted):
    """The one before is used, with a warning, and the end is the same."""
    trainer = _trainer()
    trainer.fit(6, tmp_path, checkpoint_every=2, verbose=0)
    newest = tmp_path / "checkpoint-00000006.safetensors"
    newest.write_bytes(newest.read_bytes()[:1000])
    resumed = _trainer()
    with pytest.warns(UserWarning, match="checkpoint-00000006"):
        resumed.fit(4, tmp_path, verbose=0)
    assert resumed.step == 4
    resumed.fit(STEPS, tmp_path, verbose=0)
    _assert_same(resumed, uninterrupted)
    for file in tmp_path.glob("checkpoint-*"):
        file.write_bytes(file.read_bytes()[:1000])
    with (
        pytest.warns(UserWarning, match="cannot be read"),
        pytest.raises(ValueError, match="must hold a checkpoint that can be read"),
    ):
        _trainer().fit(STEPS, tmp_path, verbose=0)


@pytest.mark.parametrize(
    "estimator", [pytest.param("es", marks=pytest.mark.slow), "pes", "nres"]
)
def test_resume_in_the_middle_of_a_run(tmp_path, estimator):
    """With all that an estimator keeps of an optimizee."""
    settings = {"estimator": estimator, "horizon": (20, 20), "validation_every": None}
    first = _trainer(**settings)
    first.fit(2, tmp_path, verbose=0)
    first.fit(4, verbose=0)
    resumed = _trainer(**settings)
    resumed.fit(4, tmp_path, verbose=0)
    _assert_same(resumed, _state(first))


def test_a_trainer_ahead_of_its_directory_goes_on_from_where_it_is(tmp_path):
    first, uninterrupted = _trainer(), _trainer()
    first.fit(2, tmp_path, verbose=0)
    first.fit(4, verbose=0)
    first.fit(5, tmp_path, verbose=0)
    uninterrupted.fit(5, verbose=0)
    _assert_same(first, _state(uninterrupted))


@pytest.mark.long
def test_resume_of_a_rule_with_a_schedule_and_a_dial(tmp_path):
    """With tasks that take turns, in the middle of their runs."""
    settings = {
        "rule": ScheduledMLP(units=3, default_rho=0.05),
        "tasks": [quadratic(), quadratic()],
        "regularizer": SAM(1.0, relative=True),
        "estimator": NRES(0.02, limit=1.0),
        "dial": (0.01, 0.3),
        "tasks_per_step": 1,
        "reparameterization": (3.0, 2.0),
        "late_weight": 0.5,
        "validation_every": None,
    }
    first = _trainer(**settings)
    first.fit(3, tmp_path, verbose=0)
    first.fit(6, verbose=0)
    resumed = _trainer(**settings)
    resumed.fit(6, tmp_path, verbose=0)
    assert len(resumed.history.rows) == 6
    _assert_same(resumed, _state(first))


@pytest.mark.parametrize(
    "teacher",
    [
        pytest.param(GapFeedback("sam", every=1), marks=pytest.mark.slow),
        LearnedMixture(["none", "sam"], every=2),
        pytest.param(
            SAM(keras.optimizers.schedules.PolynomialDecay(0.0, 4, 0.1)),
            marks=pytest.mark.slow,
        ),
    ],
    ids=["feedback", "mixture", "schedule"],
)
def test_resume_of_a_teacher_that_changes(tmp_path, teacher):
    settings = {"regularizer": teacher, "validation_every": None}
    first = _trainer(**settings)
    start = first._teaching.values
    first.fit(3, tmp_path, verbose=0)
    first.fit(5, verbose=0)
    resumed = _trainer(**settings)
    resumed.fit(5, tmp_path, verbose=0)
    assert np.any(resumed._teaching.values != start)
    _assert_same(resumed, _state(first))


def test_finished_run_is_only_read(tmp_path):
    """`fit` with the steps that are done returns at once, with the result."""
    first = _trainer(validation_every=None)
    first.fit(2, tmp_path, verbose=0)
    second = _trainer(validation_every=None)
    second.fit(1, tmp_path, verbose=0)
    assert second.step == 2
    assert not second._meta_step._graphs
    _assert_same(second, _state(first))


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 4},
        {"regularizer": SAM(0.2)},
        {"unroll": 4},
        {"tasks_per_step": 1},
        {"late_weight": 0.5},
        {"reparameterization": (2.0, 1.0)},
        {"estimator": "full_tape"},
        {"estimator": PES(0.1)},
        {"meta_optimizer": keras.optimizers.Adam(0.1)},
        {"theta": ADAM_RULE.init_theta(seed=9)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_other_configuration(tmp_path, change):
    """Refused by what differs; the directory is untouched."""
    trainer = _trainer(validation_every=None)
    trainer.fit(0, tmp_path, verbose=0)
    before = _files(tmp_path)
    other = _trainer(validation_every=None, **change)
    with pytest.raises(ValueError, match=f"same configuration.*{next(iter(change))}"):
        other.fit(STEPS, tmp_path, verbose=0)
    assert _files(tmp_path) == before
