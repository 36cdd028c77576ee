"""`meta_train` saves a preset, goes on where it stopped, and loses nothing."""

import pathlib
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
from absl import flags
from absl.testing import flagsaver

import lrlearn
from lrlearn.meta.meta_objective import MetaObjective

PROGRAM = "binaries.meta_train"
SMALL = (
    "--train_size=20",
    "--batch_size=4",
    "--units=2",
    "--unroll=2",
    "--horizon=2,4",
    "--optimizees_per_task=1",
)


def contents(directory):
    """Returns what lies in a directory, by path."""
    paths = sorted(p for p in directory.rglob("*") if p.is_file())
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in paths}


@pytest.fixture
def meta_train(run, tmp_path, monkeypatch):
    """A function that meta-trains a little; to compile would take longer."""
    monkeypatch.setattr(MetaObjective, "suits_xla", False)

    def meta_train(*arguments, output="run"):
        return run(f"--output={tmp_path / output}", *SMALL, *arguments)

    return meta_train


def test_help(check_help):
    check_help()


@pytest.mark.slow
def test_the_same_bits_again(run, tmp_path):
    """On held-out loss of MNIST: sums in any order showed there most often."""
    arguments = (
        "--tasks=mnist/mlp,mnist/mlp_relu,mnist/mlp_tanh",
        "--train_size=1000",
        "--batch_size=64",
        "--units=10,10",
        "--features=normalized",
        "--rule_output=adam",
        "--coordinates=2000",
        "--optimizees_per_task=2",
        "--meta_split=validation",
        "--steps=8",
    )
    thetas = []
    for name in "abc":
        assert run(f"--output={tmp_path / name}", *arguments).code == 0
        preset = tmp_path / name / "preset" / "theta.safetensors"
        thetas.append(preset.read_bytes())
    assert len(set(thetas)) == 1


def test_a_preset_is_saved_and_a_finished_run_is_left_alone(
    meta_train, error, tmp_path
):
    arguments = [
        "--regularizer=sam",
        "--regularizer_args=rho=0.3",
        "--label_noise=0.1",
        "--steps=2",
        "--validation_every=2",
        "--description=Mine",
    ]
    outcome = meta_train(*arguments)
    preset = tmp_path / "run" / "preset"
    assert outcome.code == 0 and f"Saved the preset {preset}." in outcome.out
    optimizer = lrlearn.LearnedOptimizer.from_preset(preset)
    assert optimizer.rule.get_config()["units"] == [2]
    _, _, metadata = lrlearn.optimizers.presets.load_preset(preset)
    expected = {
        "description": "Mine",
        "tasks": ["digits/mlp"],
        "loss": "keras.losses.SparseCategoricalCrossentropy(from_logits=True)",
        "regularizer": "sam",
        "train_size": 20,
        "label_noise": 0.1,
        "estimator": "replay",
        "unroll": 2,
        "horizon": [2, 4],
        "batch_size": 4,
        "meta_steps": 2,
        "licence": "Apache-2.0",
    }
    assert expected.items() <= metadata.items()
    assert "rho=0.3" in metadata["regularizer_args"]
    assert np.isfinite(metadata["meta_validation_score"])

    assert meta_train(*arguments).code == 0
    again = lrlearn.LearnedOptimizer.from_preset(preset)
    for name, value in optimizer.theta.items():
        np.testing.assert_array_equal(again.theta[name], value)

    before = contents(tmp_path / "run")
    line = error(f"--output={tmp_path / 'run'}", *SMALL, *arguments, "--seed=1")
    assert "seed" in line and str(tmp_path / "run") in line
    assert contents(tmp_path / "run") == before


@pytest.mark.long
def test_ctrl_c_and_the_same_command(meta_train, program, tmp_path, monkeypatch):
    arguments = ["--steps=4", "--validation_every=9"]

    class Interrupter(lrlearn.meta.TensorBoard):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 1:
                signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(lrlearn.meta, "TensorBoard", Interrupter)
        outcome = meta_train(*arguments)
    assert outcome.code == 130
    last = outcome.err.strip().splitlines()[-1]
    assert last == (
        "Interrupted at meta-step 2. The same command goes on from the newest "
        f"checkpoint in {tmp_path / 'run'}."
    )
    assert len(pd.read_csv(tmp_path / "run" / "history.csv")) == 2
    assert meta_train(*arguments).code == 0
    assert meta_train(*arguments, output="whole").code == 0
    resumed, whole = (
        pd.read_csv(tmp_path / name / "history.csv") for name in ("run", "whole")
    )
    pd.testing.assert_frame_equal(resumed, whole)
    assert len(whole) == 4
    _, theta, metadata = lrlearn.optimizers.presets.load_preset(
        tmp_path / "run" / "preset"
    )
    _, expected, _ = lrlearn.optimizers.presets.load_preset(
        tmp_path / "whole" / "preset"
    )
    for name, value in expected.items():
        np.testing.assert_array_equal(theta[name], value)
    assert metadata["meta_validation_score"] is None  # there was none


@pytest.mark.long
@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)]
)
def test_signals_from_outside(tmp_path, number, status):
    """A real one to a real process."""
    command = [sys.executable, "-m", "binaries.meta_train", *SMALL]
    root = pathlib.Path(__file__).parents[2]
    with subprocess.Popen(
        [*command, "--steps=1000000", f"--output={tmp_path / 'run'}"],
        cwd=root,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            wait_for(tmp_path / "run" / "tensorboard", process)
            process.send_signal(number)
            _, err = process.communicate(timeout=120)
        finally:
            process.kill()
    assert process.returncode == status, err
    last = err.strip().splitlines()[-1]
    assert last.startswith("Interrupted at meta-step ")
    for line in err.splitlines()[:-1]:  # nothing but the bar
        assert not line or line.startswith("meta-training: "), line
    assert list((tmp_path / "run").glob("checkpoint-*.safetensors"))


def test_the_mlp_rule_by_pes(meta_train, tmp_path):
    """The other rule, with its horizon, and another estimator."""
    outcome = meta_train("--rule=mlp", "--estimator=pes", "--sigma=0.1", "--steps=1")
    assert outcome.code == 0
    optimizer = lrlearn.LearnedOptimizer.from_preset(tmp_path / "run" / "preset")
    assert optimizer.rule.get_config() == {"units": 2, "horizon": 4}


@pytest.mark.parametrize(
    ("arguments", "sigma"), [(["--estimator=nres"], 0.02), (["--sigma=0.1"], 0.1)]
)
def test_flags_change_the_recipe_and_leave_the_rest(program, arguments, sigma):
    """The estimator of the recipe keeps its other arguments."""
    with flagsaver.flagsaver():
        flags.FLAGS(["meta_train", "--rule=scheduled_mlp", *arguments])
        estimator = program._estimator(lrlearn.meta.Recipe.of(program._rule({})))
    assert estimator.get_config() == {"sigma": sigma, "limit": 1.0}


def test_names_of_estimators_are_those_of_the_library(program):
    """They stand twice, for the library takes seconds to import."""
    names = flags.FLAGS["estimator"].parser.enum_values
    assert names == lrlearn.meta.estimators.names()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--teacher=gap_feedback", "--regularizer=gam"], ["gapfeedback", "GAM("]),
        (["--teacher=learned_mixture", "--members=sam,l2"], ["learnedmixture", "L2("]),
    ],
)
def test_teachers_that_adapt(program, tmp_path, arguments, expected):
    """By the flags, to the card."""
    with flagsaver.flagsaver():
        flags.FLAGS(["meta_train", *arguments])
        trainer, _ = program._trainer(None)
    trainer.save_to_preset(tmp_path / "preset")
    card = (tmp_path / "preset" / "README.md").read_text()
    assert all(text in card for text in expected)


def test_meta_validation_may_be_left_out(meta_train, tmp_path):
    assert meta_train("--validation_every=0", "--steps=1").code == 0
    preset = tmp_path / "run" / "preset"
    _, _, metadata = lrlearn.optimizers.presets.load_preset(preset)
    assert metadata["validation_every"] is None
    assert metadata["untrained_score"] is None


def test_one_number_is_least_and_most(meta_train, tmp_path):
    """Of steps in a run."""
    assert meta_train("--horizon=3", "--steps=1").code == 0
    preset = tmp_path / "run" / "preset"
    _, _, metadata = lrlearn.optimizers.presets.load_preset(preset)
    assert metadata["horizon"] == [3, 3]


def test_a_diverged_run_is_told(meta_train, monkeypatch):
    """The preset holds the best weights all the same."""
    train_step = lrlearn.MetaTrainer._train_step

    def diverge(self, *args):
        train_step(self, *args)
        self.history.rows[-1]["loss"] = float("nan")

    monkeypatch.setattr(lrlearn.MetaTrainer, "_train_step", diverge)
    with pytest.warns(UserWarning, match="diverged, to a .*loss of nan; try .*--unr"):
        assert meta_train("--steps=1").code == 0


@pytest.mark.parametrize("untrained", [0.5, 0.25, float("inf")])
def test_a_run_that_does_not_better_its_start_tells(program, capsys, untrained):
    """By the best score; without meta-validation there is none to compare."""
    history = lrlearn.meta.MetaHistory([{"step": 1.0, "score": 0.3}])
    history.untrained_score = untrained
    program._tell_if_not_better(history)
    expected = (
        "No meta-validation was better than that of the untrained rule: 0.3 is not "
        "below 0.25.\n"
    )
    assert capsys.readouterr().out == (expected if untrained == 0.25 else "")


def wait_for(path, process, seconds=120):
    for _ in range(10 * seconds):
        if path.exists() or process.poll() is not None:
            return
        time.sleep(0.1)


@pytest.mark.parametrize(
    "arguments, expected",
    [
        (["--tasks=digits/mlp,digits/rnn"], "must be one of ['digits/mlp', "),
        (["--tasks="], "tasks"),
        (["--regularizer=gam", "--regularizer_args=variant=x"], "algorithm2"),
        (["--regularizer_args=rho=1"], "needs --regularizer"),
        (["--members=sam,gam"], "--members needs --teacher=learned_mixture"),
        (["--teacher=gap_feedback"], "`regularizer` must be given"),
        (
            ["--teacher=learned_mixture", "--regularizer=sam"],
            "needs --members in place of --regularizer",
        ),
        (["--teacher=learned_mixture", "--members=sam,x"], "`regularizer` must be one"),
        (["--units=a"], "--units must be integers"),
        (["--units=0"], "units"),
        (["--rule=mlp", "--units=2,3"], "--units must be one integer for mlp"),
        (["--rule=mlp", "--features=log"], "--features needs --rule=lstm"),
        (["--dial=0.01,0.1"], "--dial needs --rule=scheduled_lstm or scheduled_mlp"),
        (["--rule=scheduled_mlp", "--default_rho=0.1"], "--default_rho needs --dial"),
        (["--tasks=digits,digits/mlp"], "must be one of ['digits/mlp', "),
        (["--rule=scheduled_mlp", "--dial=0.1"], "`dial` must be two positive numbers"),
        (["--rule=scheduled_mlp", "--dial=0.1,1"], "`dial` needs a regularizer that"),
        (["--rule=scheduled_mlp", "--estimator=replay"], "needs a CoordinatewiseRule"),
        (["--tasks=digits"], "--train_size needs --tasks=<data set>/<network>"),
        (["--horizon="], "horizon"),
        (["--horizon=4,2"], "horizon"),
        (["--initial_scale=x"], "--initial_scale must be numbers"),
        (["--estimator=full_tape", "--coordinates=3"], "--coordinates needs"),
        (["--sigma=0.1"], "--sigma needs --estimator=es or nres or pes"),
        (["--estimator=pes", "--sigma=-1"], "`sigma` must be a positive number"),
        (["--train_size=10000000"], "train_size"),
        (["--output={}/file"], "file"),
        (["--output={}/file/run"], "file"),
    ],
)
def test_bad_input(error, tmp_path, arguments, expected):
    (tmp_path / "file").touch()
    arguments = [a.format(tmp_path) for a in arguments]
    assert expected in error(f"--output={tmp_path}/run", *SMALL, *arguments)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(
    "argument, expected",
    [
        ("--regularizer=sma", "gsam"),
        ("--estimator=x", "full_tape"),
        ("--features=x", "normalized"),
        ("--rule=x", "mlp"),
        ("--distribution=x", "multiworker"),
        ("--steps=0", "positive"),
    ],
)
def test_bad_flags(run, argument, expected):
    outcome = run(argument)
    assert outcome.code == 1
    assert "FATAL Flags parsing error" in outcome.err and expected in outcome.err
