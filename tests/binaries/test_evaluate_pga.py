"""`evaluate_pga` measures what `sharpness` does, of models that fit the task."""

import json

import keras
import numpy as np
import pandas as pd
import pytest

import lrlearn
from tests.binaries.saved_models import make_model, save_two

pytestmark = pytest.mark.long

PROGRAM = "binaries.evaluate_pga"
EXAMPLES = 16


@pytest.fixture
def models(tmp_path):
    """Paths of two models: one compiled with a loss of its own, and one not."""
    return save_two(tmp_path)


def test_help(check_help):
    """Every flag says what it does."""
    check_help()


@pytest.fixture
def figures(monkeypatch):
    """The figures that were drawn."""
    figures, draw = [], lrlearn.plots.sharpness_by_radius

    def spy(frame):
        figures.append(draw(frame))
        return figures[-1]

    monkeypatch.setattr(lrlearn.plots, "sharpness_by_radius", spy)
    return figures


def test_models_are_compared(run, figures, models, tmp_path):
    """The table is that of the library, the figure has a line for each model."""
    outcome = run(
        f"--model={models[0]},{models[1]}",
        "--split=test",
        "--radii=0.01,0.1",
        f"--examples={EXAMPLES}",
        f"--output={tmp_path / 'pga'}",
    )
    assert outcome.code == 0
    frame = pd.read_csv(tmp_path / "pga" / "pga.csv")
    assert list(frame["model"]) == [str(path) for path in models for _ in range(2)]
    assert list(frame["radius"]) == [0.01, 0.1] * 2
    for text in (*map(str, models), "max_gradient_norm", "16 test examples"):
        assert text in outcome.out
    assert "command" in json.loads((tmp_path / "pga" / "pga.json").read_text())
    assert (tmp_path / "pga" / "pga.png").read_bytes().startswith(b"\x89PNG")
    (axes,) = figures[0].axes
    labels = [line.get_label() for line in axes.get_lines()]
    assert labels == ["a/model.keras", "b/model.keras"]
    assert axes.get_title() == "digits/mlp" and axes.get_xlabel() == "Radius"
    x, y = (a[:EXAMPLES] for a in lrlearn.tasks.load("digits/mlp").test)
    expected = lrlearn.evaluation.sharpness(
        keras.models.load_model(models[0], compile=False),
        x,
        y,
        radii=(0.01, 0.1),
        loss="sparse_categorical_crossentropy",
    )
    np.testing.assert_allclose(frame[expected.columns][:2], expected, rtol=1e-4)


def test_options(run, figures, models, tmp_path, monkeypatch):
    """Flags reach the measurement, which is replaced here."""
    task = lrlearn.tasks.load("digits/mlp", train_size=30, label_noise=0.5)

    def measure(model, x, y, radii, relative, adaptive, method, seed):
        np.testing.assert_array_equal(x, task.train[0])
        np.testing.assert_array_equal(y, task.train[1])
        assert model.loss is not None and seed == 4
        assert relative is True and adaptive is False and method == "apgd"
        return pd.DataFrame({"radius": radii, "increase": radii})

    monkeypatch.setattr(lrlearn.evaluation, "sharpness", measure)
    outcome = run(
        f"--model={models[1]}",
        "--relative",
        "--method=apgd",
        "--train_size=30",
        "--label_noise=0.5",
        "--seed=4",
        f"--output={tmp_path / 'pga'}",
    )
    assert outcome.code == 0
    assert "30 train examples" in outcome.out
    assert list(pd.read_csv(tmp_path / "pga" / "pga.csv")["radius"]) == [
        *(0.001, 0.005, 0.05, 0.1)
    ]
    assert figures[0].axes[0].get_xlabel() == "Radius / norm of the weights"


def test_adaptive_distances_and_curvature(run, figures, models, tmp_path):
    """Columns are those of the library's functions."""
    outcome = run(
        f"--model={models[0]}",
        "--adaptive",
        "--hessian",
        "--seed=1",
        "--radii=0.1",
        f"--examples={EXAMPLES}",
        f"--output={tmp_path / 'pga'}",
    )
    assert outcome.code == 0
    assert figures[0].axes[0].get_xlabel() == "Radius, relative to each weight"
    (row,) = pd.read_csv(tmp_path / "pga" / "pga.csv").itertuples()
    model = keras.models.load_model(models[0], compile=False)
    model.compile(loss="sparse_categorical_crossentropy")
    x, y = (a[:EXAMPLES] for a in lrlearn.tasks.load("digits/mlp").train)
    expected = lrlearn.evaluation.sharpness(model, x, y, (0.1,), adaptive=True, seed=1)
    assert row.increase == pytest.approx(expected["increase"][0], rel=1e-4)
    top = lrlearn.evaluation.top_eigenvalue(model, x, y, seed=1)
    assert row.top_eigenvalue == pytest.approx(float(top.value), rel=1e-3)
    assert row.converged
    trace = lrlearn.evaluation.hessian_trace(model, x, y, seed=1)
    assert row.trace == pytest.approx(float(trace.value), rel=1e-4)
    assert row.trace_error == pytest.approx(float(trace.standard_error), rel=1e-3)


def test_radii_are_relative_in_one_way(error, models, tmp_path):
    """To the norm of all weights, or to each of them."""
    paths = f"--model={models[0]}", f"--output={tmp_path / 'pga'}"
    line = error(*paths, "--relative", "--adaptive")
    assert "`relative` and `adaptive`" in line


@pytest.mark.parametrize(
    "content, expected", [(None, "not there"), (b"no model", "cannot be read")]
)
def test_no_model(error, tmp_path, content, expected):
    """One line names the file that cannot be read."""
    path = tmp_path / "x.keras"
    if content:
        path.write_bytes(content)
    line = error(f"--model={path}", f"--output={tmp_path / 'pga'}")
    assert expected in line and str(path) in line
    assert not (tmp_path / "pga").exists()


def test_a_truncated_model(error, models, tmp_path):
    """One line says that it cannot be read."""
    content = models[0].read_bytes()
    models[0].write_bytes(content[: len(content) // 2])
    line = error(f"--model={models[0]}", f"--output={tmp_path / 'pga'}")
    assert "cannot be read" in line


@pytest.mark.parametrize(
    "arguments, expected",
    [
        ({"shape": (28, 28, 1)}, "input_shape is (None, 28, 28, 1)"),
        ({"outputs": 9}, "outputs of shape (9,)"),
    ],
)
def test_a_model_of_another_task(error, tmp_path, arguments, expected):
    """The line names the task and the shape that does not fit."""
    path = tmp_path / "x.keras"
    make_model(**arguments).save(path)
    line = error(f"--model={path}", f"--output={tmp_path / 'pga'}")
    assert expected in line and "digits/mlp" in line


def test_a_model_of_several_outputs(error, tmp_path):
    """The line names the shapes of all."""
    inputs = keras.Input((8, 8, 1))
    hidden = keras.layers.Flatten()(inputs)
    outputs = {name: keras.layers.Dense(10)(hidden) for name in "ab"}
    path = tmp_path / "x.keras"
    keras.Model(inputs, outputs).save(path)
    line = error(f"--model={path}", f"--output={tmp_path / 'pga'}")
    assert "must have an output for each class of task digits/mlp" in line
    assert "outputs of shape {'a': (10,), 'b': (10,)}" in line


def test_a_model_without_a_shape(error, tmp_path):
    """It was never built: what it takes turns out when it is called."""
    path = tmp_path / "x.keras"
    with pytest.warns(UserWarning, match="not yet been built"):
        keras.Sequential([keras.layers.LSTM(10)]).save(path)
    line = error(f"--model={path}", f"--output={tmp_path / 'pga'}")
    assert "must take inputs of task digits/mlp" in line and "not known" in line


@pytest.mark.parametrize("radii", ["a", "-1", "nan", "0.1,,0.2"])
def test_bad_radii(error, models, tmp_path, radii):
    """One line says so."""
    line = error(f"--model={models[1]}", f"--radii={radii}", f"--output={tmp_path}/p")
    assert "radi" in line


def test_a_model_must_be_named(run):
    """There is no default for it."""
    outcome = run()
    assert outcome.code == 1 and "--model" in outcome.err
