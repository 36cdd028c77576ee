"""`plot_landscape` draws what `loss_landscape` computes, of models that fit."""

import json

import keras
import numpy as np
import pandas as pd
import pytest

import lrlearn
from tests.binaries.saved_models import make_model, save_two

PROGRAM = "binaries.plot_landscape"
EXAMPLES = 16


@pytest.fixture
def models(tmp_path):
    """Paths of two models: one compiled with a loss of its own, and one not."""
    return save_two(tmp_path)


@pytest.fixture
def figures(monkeypatch):
    """The figures that were drawn."""
    figures, draw = [], lrlearn.plots.loss_landscape

    def spy(frame):
        figures.append(draw(frame))
        return figures[-1]

    monkeypatch.setattr(lrlearn.plots, "loss_landscape", spy)
    return figures


def test_help(check_help):
    """Every flag says what it does."""
    check_help()


def test_models_are_drawn(run, figures, models, tmp_path):
    """One panel each, of the losses that the library computes."""
    output = tmp_path / "landscape"
    outcome = run(
        f"--model={models[0]},{models[1]}",
        "--split=test",
        "--span=0.5",
        "--points=5",
        "--seed=3",
        f"--examples={EXAMPLES}",
        f"--output={output}",
    )
    assert outcome.code == 0 and "16 test examples of digits/mlp" in outcome.out
    assert (output / "landscape.png").read_bytes().startswith(b"\x89PNG")
    assert "command" in json.loads((output / "landscape.json").read_text())
    *panels, _ = figures[0].axes
    titles = [axes.get_title() for axes in panels]
    assert titles == ["a/model.keras", "b/model.keras"]
    frame = pd.read_csv(output / "landscape.csv")
    x, y = (a[:EXAMPLES] for a in lrlearn.tasks.load("digits/mlp").test)
    for path, loss in zip(
        models,
        [
            "sparse_categorical_crossentropy",
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        ],
        strict=True,
    ):
        model = keras.models.load_model(path, compile=False)
        expected = lrlearn.evaluation.loss_landscape(
            model, x, y, span=0.5, points=5, seed=3, loss=loss
        )
        rows = frame[frame["model"] == str(path)]
        np.testing.assert_allclose(rows[expected.columns], expected, rtol=1e-4)


def test_labels_and_training_data(run, figures, models, tmp_path):
    """Titles are those given; the data are the noisy ones where asked for."""
    outcome = run(
        f"--model={models[0]},{models[1]}",
        "--labels=Adam,SAM",
        "--points=3",
        "--train_size=30",
        "--label_noise=0.5",
        f"--output={tmp_path / 'landscape'}",
    )
    assert outcome.code == 0 and "30 train examples" in outcome.out
    assert [axes.get_title() for axes in figures[0].axes[:2]] == ["Adam", "SAM"]
    frame = pd.read_csv(tmp_path / "landscape" / "landscape.csv")
    x, y = lrlearn.tasks.load("digits/mlp", train_size=30, label_noise=0.5).train
    model = keras.models.load_model(models[0], compile=False)
    model.compile(loss="sparse_categorical_crossentropy")
    expected = model.evaluate(x, y, verbose=0)
    assert frame["loss"][4] == pytest.approx(expected, rel=1e-5)  # the middle of 9


@pytest.mark.parametrize("labels", ["Adam", "Adam,Adam", "a,b,c"])
def test_labels_must_fit_the_models(error, models, tmp_path, labels):
    """One each, and all different."""
    arguments = f"--model={models[0]},{models[1]}", f"--output={tmp_path / 'x'}"
    line = error(*arguments, f"--labels={labels}")
    assert "--labels must be one for each of --model" in line and labels in line


@pytest.mark.parametrize(
    "argument, expected",
    [("--points=1", "`points` must be an integer"), ("--span=-1", "`span` must be")],
)
def test_bad_grids(error, models, tmp_path, argument, expected):
    """The library's line."""
    line = error(f"--model={models[1]}", argument, f"--output={tmp_path / 'x'}")
    assert expected in line


def test_a_model_of_another_task(error, tmp_path):
    """The line names the task and the model."""
    path = tmp_path / "x.keras"
    make_model(outputs=9).save(path)
    line = error(f"--model={path}", f"--output={tmp_path / 'x'}")
    assert "outputs of shape (9,)" in line and "digits/mlp" in line
