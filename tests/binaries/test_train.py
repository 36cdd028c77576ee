"""`train` trains as its flags ask for, saves a whole model, and explains mistakes."""

import json
import signal

import keras
import numpy as np
import pytest

import lrlearn
from lrlearn.evaluation import Training

PROGRAM = "binaries.train"
SMALL = ("--train_size=40", "--batch_size=20")


def weights(path):
    return [w.numpy() for w in keras.models.load_model(path).trainable_variables]


def test_help(check_help):
    check_help()


def test_a_saved_model_goes_on_training(run, tmp_path):
    path = tmp_path / "new" / "model.keras"
    outcome = run(
        "--optimizer=sgd",
        "--learning_rate=0.1",
        "--optimizer_args=momentum=0.9,nesterov=true",
        "--steps=60",
        f"--output={path}",
    )
    assert outcome.code == 0
    assert f"Saved the model {path}." in outcome.out
    model = keras.models.load_model(path)
    assert model.optimizer.nesterov is True
    assert int(model.optimizer.iterations) == 60
    task = lrlearn.tasks.load("digits/mlp")
    content = json.loads(path.with_suffix(".json").read_text())
    for split in ("train", "validation", "test"):
        loss, accuracy = model.evaluate(*getattr(task, split), verbose=0)
        assert content["results"][split]["loss"] == pytest.approx(loss, rel=1e-4)
        assert content["results"][split]["accuracy"] == pytest.approx(accuracy)
        assert f"{split:12}{loss:8.4f}" in outcome.out
    assert content["results"]["test"]["accuracy"] > 0.5
    model.fit(*task.train, batch_size=550, verbose=0)
    assert int(model.optimizer.iterations) == 62
    assert list(path.parent.glob(".*")) == []


@pytest.mark.parametrize("kind", ["name", "directory", "url"])
def test_presets_of_ones_own(run, tmp_path, monkeypatch, kind):
    """Found by name in LRLEARN_HOME, by directory and by URL."""
    monkeypatch.setenv("LRLEARN_HOME", str(tmp_path))
    rule = lrlearn.rules.CoordinatewiseLSTM(units=(2,))
    optimizer = lrlearn.LearnedOptimizer(rule, rule.init_theta(1))
    optimizer.save_to_preset(tmp_path / "preset")
    packed = lrlearn.optimizers.presets.pack_preset(tmp_path / "preset")
    preset = {
        "name": "preset",
        "directory": tmp_path / "preset",
        "url": f"file://{tmp_path}/{packed}",
    }[kind]
    path = tmp_path / "model.keras"
    outcome = run(f"--optimizer={preset}", "--steps=3", f"--output={path}", *SMALL)
    assert outcome.code == 0
    loaded = keras.models.load_model(path).optimizer
    assert int(loaded.iterations) == 3
    for name, value in optimizer.theta.items():
        np.testing.assert_array_equal(loaded.theta[name], value)


def test_the_regularizer_is_used(run, tmp_path):
    trained = []
    for i, arguments in enumerate([(), ("rho=0.0",), ("rho=0.5",)]):
        path = tmp_path / f"{i}.keras"
        regularizer = [f"--regularizer_args={a}" for a in arguments]
        regularizer += ["--regularizer=sam"] * len(arguments)
        outcome = run("--steps=4", f"--output={path}", *regularizer, *SMALL)
        assert outcome.code == 0
        trained.append(np.concatenate([w.ravel() for w in weights(path)]))
    plain, zero, sam = trained
    np.testing.assert_allclose(zero, plain, rtol=1e-4, atol=1e-6)
    assert np.abs(sam - plain).max() > 1e-4
    loaded = keras.models.load_model(path)
    assert isinstance(loaded, lrlearn.SharpnessAwareModel)
    assert loaded.regularizer.rho == 0.5
    assert int(loaded.optimizer.iterations) == 4


def test_epochs(run, tmp_path):
    path = tmp_path / "model.keras"
    assert run("--epochs=2", f"--output={path}", "--batch_size=500").code == 0
    optimizer = keras.models.load_model(path).optimizer
    assert int(optimizer.iterations) == 2 * 3  # of 1,100 examples


def test_unknown_optimizer(error):
    line = error("--optimizer=adamm")
    for name in ("adam", "sgd", "rmsprop", *lrlearn.LearnedOptimizer.presets):
        assert f"'{name}'" in line
    assert "Received: adamm" in line


@pytest.mark.parametrize(
    "arguments, expected",
    [
        (["--output={}/model.h5"], "--output must be a .keras file"),
        (["--output={}/file/model.keras"], "file"),
        (["--optimizer_args=momentm=1"], "momentm"),
        (["--optimizer={}"], "config.json"),
        (["--optimizer=https://example.invalid/x.zip"], "#sha256="),
        (["--regularizer=sam", "--regularizer_args=rho=-1"], "rho=-1"),
        (["--regularizer=sam", "--regularizer_args=rho=nan"], "rho=nan"),
        (["--regularizer=sam", "--regularizer_args=radius=1"], "radius"),
        (["--train_size=5000"], "train_size=5000"),
        (["--label_noise=1.5"], "label_noise=1.5"),
    ],
)
def test_bad_input(error, tmp_path, arguments, expected):
    (tmp_path / "file").touch()
    arguments = [a.format(tmp_path) for a in arguments]
    line = error(f"--output={tmp_path}/model.keras", *arguments)
    assert expected in line
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(
    "arguments, expected",
    [
        (["--task=digits/rnn"], "digits/mlp_relu"),
        (["--regularizer=x"], "gsam"),
        (["--steps=0"], "positive"),
        (["--steps=1", "--epochs=1"], "At most one of"),
        (["--seed=-1"], "non-negative"),
        (["--momentum=1"], "Unknown command line flag 'momentum'"),
    ],
)
def test_bad_flags(run, arguments, expected):
    outcome = run(*arguments)
    assert outcome.code == 1
    assert "FATAL Flags parsing error" in outcome.err and expected in outcome.err


def test_a_diverged_model_replaces_nothing(error, tmp_path):
    path = tmp_path / "model.keras"
    path.write_text("earlier")
    path.with_suffix(".json").write_text("its results")
    line = error(
        "--optimizer=sgd", "--learning_rate=3e38", "--steps=9", f"--output={path}"
    )
    assert "diverged" in line and "--learning_rate" in line
    assert path.read_text() == "earlier"
    assert path.with_suffix(".json").read_text() == "its results"


def test_a_large_loss_is_told(run, tmp_path):
    """The model may still be of use."""
    path = tmp_path / "model.keras"
    arguments = ("--optimizer=sgd", "--learning_rate=1e4", "--steps=3", *SMALL)
    message = "diverged, from a loss of 2.* to .*--learning_rate"
    with pytest.warns(UserWarning, match=message):
        assert run(*arguments, f"--output={path}").code == 0
    assert path.exists()


def test_a_stopped_run_goes_on(run, tmp_path, monkeypatch):
    """By the same command, to the bit; what it has so far is saved."""
    command = ["--optimizer=lo_sam", "--steps=40", *SMALL]
    whole, path = tmp_path / "whole.keras", tmp_path / "model.keras"
    assert run(*command, f"--output={whole}").code == 0
    evaluate = Training.evaluate

    def interrupted_evaluate(self):
        if int(self.optimizer.iterations) == 4:
            signal.raise_signal(signal.SIGINT)
        return evaluate(self)

    path.with_suffix(".json").write_text("results of an earlier model")
    with monkeypatch.context() as patch:
        patch.setattr(Training, "evaluate", interrupted_evaluate)
        outcome = run(*command, f"--output={path}")
    assert outcome.code == 130
    assert not path.with_suffix(".json").exists()
    assert outcome.err.strip().splitlines()[-1] == (
        f"Interrupted at step 4 of 40; the model so far is {path}. "
        "The same command goes on."
    )
    assert int(keras.models.load_model(path).optimizer.iterations) == 4
    outcome = run(*command, f"--output={path}")
    assert outcome.code == 0
    assert " 4/40 " in outcome.err and " 2/40 " not in outcome.err
    for found, expected in zip(weights(path), weights(whole), strict=True):
        np.testing.assert_array_equal(found, expected)
    names = {"model.keras", "model.json", "whole.keras", "whole.json"}
    assert {file.name for file in tmp_path.iterdir()} == names


def test_another_command_for_the_same_file(run, error, tmp_path, monkeypatch):
    """Refused while the first is not done, by what differs."""

    def interrupted_evaluate(self):
        signal.raise_signal(signal.SIGTERM)
        return [{"train_loss": 1.0, "validation_accuracy": 0.5}]

    output = f"--output={tmp_path}/model.keras"
    with monkeypatch.context() as patch:
        patch.setattr(Training, "evaluate", interrupted_evaluate)
        assert run("--steps=40", output, *SMALL).code == 143
    line = error("--steps=40", "--seed=1", output, *SMALL)
    assert "model.checkpoint, with seed 0, not 1" in line
