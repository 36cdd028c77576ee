"""If the loss or its gradient is not finite at the parameters, nor is the result."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from lrlearn.evaluation import (
    PGA,
    Hessian,
    SharpnessEvaluator,
    StackedSharpness,
    landscape,
    loss_landscape,
    model_loss,
    pga,
    sharpness,
)

pytestmark = pytest.mark.long

MESSAGE = "The parameters, or the loss or its gradient there, are not finite: "
# Losses, and parameters at which something is not finite.
CASES = {
    "loss": (lambda w: np.nan * tf.reduce_sum(w[0] ** 2), [1.0, 2.0]),
    "infinite loss": (lambda w: np.inf * tf.reduce_sum(w[0] ** 2), [1.0, 2.0]),
    "loss of finite gradient": (lambda w: np.inf + 0 * tf.reduce_sum(w[0]), [1.0]),
    "gradient": (lambda w: tf.reduce_sum(tf.sqrt(w[0])), [0.0]),
    "parameter": (lambda w: w[0][0] ** 2, [1.0, np.nan]),
    "infinite parameter": (lambda w: w[0][0] ** 2, [1.0, np.inf]),
    "unconnected parameter": (lambda w: tf.constant(1.0), [np.nan]),
}
each_case = pytest.mark.parametrize("case", CASES)


@each_case
@pytest.mark.parametrize("objective", ["loss", "gradient_norm"])
def test_pga(case, objective):
    """All parts are NaN; in a graph, too, which cannot warn."""
    loss_fn, w = CASES[case]
    search = PGA(loss_fn, objective, steps=1)
    with pytest.warns(UserWarning, match=MESSAGE + "the result is NaN") as warned:
        worst = search([w], 0.1)
    assert len(warned) == 1 and warned[0].filename == __file__
    in_graph = tf.function(lambda: search([w], 0.1))()
    for result in (worst, in_graph):
        assert all(np.isnan(part).all() for part in tf.nest.flatten(result))


@pytest.mark.parametrize(
    ("case", "kind"),
    [
        *((case, "relative") for case in CASES),
        *((case, "adaptive") for case in ("gradient", "parameter")),
        ("unconnected parameter", "fixed"),
    ],
)
def test_sharpness_evaluator(case, kind):
    """All columns are NaN, whatever the ball and the radius are."""
    loss_fn, w = CASES[case]
    evaluator = SharpnessEvaluator(loss_fn, steps=1, adaptive=kind == "adaptive")
    with pytest.warns(UserWarning, match=MESSAGE) as warned:
        table = evaluator([w], radii=[0.0, 0.1], relative=kind == "relative")
    assert len(warned) == 1 and table["radius"].tolist() == [0.0, 0.1]
    assert table.drop(columns="radius").isna().all(axis=None)


@pytest.mark.parametrize(
    ("w", "factor"),
    [
        ([1.0, 1.0], np.nan),
        ([1.0, 1.0], np.inf),
        ([0.0, 1.0], 1.0),
        ([1.0, np.nan], 1.0),
    ],
    ids=["loss", "infinite loss", "gradient", "parameter"],
)
def test_stacked_sharpness(w, factor):
    """Each network by itself."""
    measure = StackedSharpness(lambda w, v: v[0] * tf.sqrt(w[0][0]), steps=1)
    stacked, nan = np.float32([[1.0, 1.0], w, [1.0, 1.0]]), [False, True, False]
    with pytest.warns(UserWarning, match=MESSAGE) as warned:
        networks = measure([stacked], [np.float32([1.0, factor, 1.0])])
    assert len(warned) == 1
    for rows, expected in zip(networks, nan, strict=True):
        for row in rows:
            assert (np.isnan([*row.values()][2:]) == expected).all()


@each_case
def test_curvature(case):
    """Values, eigenvectors and errors are NaN, and nothing has converged."""
    loss_fn, w = CASES[case]
    with pytest.warns(UserWarning, match="there, are not finite"):
        top = Hessian(loss_fn, [w]).top_eigenvalue()
    with pytest.warns(UserWarning, match="there, are not finite"):
        trace = Hessian(loss_fn, [w]).trace(2)
    assert np.isnan([top.value, *top.eigenvector[0], *trace]).all()
    assert not bool(top.converged)


@each_case
def test_landscape(case):
    """Its losses are what they are; a warning tells."""
    loss_fn, w = CASES[case]
    directions = [[np.ones_like(w)], [np.ones_like(w)]]
    with pytest.warns(UserWarning, match=MESSAGE + "the landscape may mislead"):
        table = landscape(loss_fn, [w], directions, points=3)
    expected = float(loss_fn([tf.constant(w)]))
    np.testing.assert_equal(table["loss"][4], expected)


@pytest.fixture(scope="module")
def network():
    """A ReLU network, whose loss may hide the NaN in one row of its data."""
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Dense(16, "relu"), keras.layers.Dense(1)]
    model = keras.Sequential([keras.Input([6]), *layers])
    model.compile(loss="mse")
    x = np.random.default_rng(0).standard_normal((32, 6)).astype("float32")
    x[3, 2] = np.nan
    return model, x, x[:, 0]


def test_data_that_hold_nan(network):
    """No network is flat for that."""
    model, x, y = network
    with pytest.warns(UserWarning, match="the result is NaN"):
        table = sharpness(model, x, y, steps=1)
    assert table.drop(columns="radius").isna().all(axis=None)
    with pytest.warns(UserWarning, match="the landscape may mislead"):
        loss_landscape(model, x, y, points=2)
    loss_fn, params = model_loss(model, x, y), model.trainable_variables
    hessian = Hessian(loss_fn, params)
    for function in (hessian.top_eigenvalue, hessian.trace):
        with pytest.warns(UserWarning, match="the result is NaN"):
            assert np.isnan(function().value)
    measure = StackedSharpness(lambda w, _: loss_fn(w), steps=1)
    with pytest.warns(UserWarning, match="the result is NaN"):
        (rows,) = measure([w.numpy()[None] for w in params], [])
    assert np.isnan([[*row.values()][2:] for row in rows]).all()


def test_points_farther_out_do_not_count():
    """Beyond 1.05 the loss is NaN; the surrogate gap there is."""

    def wall(params, *_):
        w = params[0][0]
        return tf.where(w > 1.05, np.nan, w)

    table = SharpnessEvaluator(wall, steps=5)([np.float32([1.0, 0.0])], radii=[0.1])
    assert 0.0 < table["increase"][0] <= 0.05 and np.isnan(table["surrogate_gap"][0])
    (rows,) = StackedSharpness(wall, (0.01, 0.1), (), ())([np.float32([[1.0, 0]])], [])
    assert rows[1]["increase"] == pytest.approx(0.01, rel=1e-3)
    assert float(pga(wall, [tf.ones(2)], 0.1, steps=5).loss) <= 1.05
