"""Who looks for a NaN of their own with TensorFlow's checks finds none of ours."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from lrlearn.evaluation import (
    Hessian,
    SharpnessEvaluator,
    StackedSharpness,
    landscape,
    loss_landscape,
    pga,
    sharpness,
)

pytestmark = pytest.mark.long

# A loss, the point, its trace, its top eigenvalue, and its largest increase and slope
# within 0.1.
PROBLEMS = {
    "minimum": (lambda w: tf.reduce_sum([0.5, 2.0] * w[0] ** 2), [0.0] * 2, 5, 4),
    "saddle point": (
        lambda w: tf.reduce_sum([0.5, -2.0] * w[0] ** 2),
        [0.0] * 2,
        -3,
        1,
    ),
    "maximum": (lambda w: -tf.reduce_sum(w[0] ** 2), [0.0] * 2, -4, -2),
    "one parameter": (lambda w: tf.reduce_sum(w[0] ** 2), [0.0], 2, 2),
    "linear": (lambda w: tf.reduce_sum(w[0]), [1.0], 0, 0),
    "unconnected": (lambda w: tf.constant(3.0), [0.0], 0, 0),
    "constant": (lambda w: 0.0 * tf.reduce_sum(w[0]), [0.0] * 3, 0, 0),
}
RISES = {"minimum": 0.02, "saddle point": 0.005, "one parameter": 0.01, "linear": 0.1}
SLOPES = {"minimum": 0.4, "saddle point": 0.4, "maximum": 0.2, "one parameter": 0.2}
SLOPES |= {"linear": 1.0}


@pytest.fixture(autouse=True)
def _check_numerics():
    tf.debugging.enable_check_numerics()
    yield
    tf.debugging.disable_check_numerics()


@pytest.mark.parametrize(
    "problem",
    [
        # Each compiles a graph of its own; the others take as long and say less.
        p
        if p in ("minimum", "saddle point", "constant")
        else pytest.param(p, marks=pytest.mark.slow)
        for p in PROBLEMS
    ],
)
def test_sharpness(problem):
    """With and without a slope, a radius and a curvature, by both searches of `PGA`."""
    loss_fn, w, *_ = PROBLEMS[problem]
    rise, slope = RISES.get(problem, 0.0), SLOPES.get(problem, 0.0)
    table = SharpnessEvaluator(loss_fn, steps=1)([w], radii=[0.0, 0.1])
    np.testing.assert_allclose(table["increase"], [0.0, rise], rtol=0.01)
    assert table["max_gradient_norm"][1] == pytest.approx(slope, rel=0.01)


@pytest.mark.parametrize("problem", PROBLEMS)
def test_curvature(problem):
    """A single probe has a NaN for its standard error nevertheless."""
    loss_fn, w, trace, top = PROBLEMS[problem]
    assert float(Hessian(loss_fn, [w]).top_eigenvalue().value) == pytest.approx(
        top, rel=1e-3
    )
    assert tuple(map(float, Hessian(loss_fn, [w]).trace(2))) == (trace, 0.0)
    estimate = Hessian(loss_fn, [w]).trace(1)
    assert float(estimate.value) == trace and np.isnan(estimate.standard_error)


@pytest.mark.parametrize("problem", PROBLEMS)
def test_stacked_sharpness_and_landscapes(problem):
    """Of two networks, and around the parameters."""
    loss_fn, w, *_ = PROBLEMS[problem]
    measure = StackedSharpness(lambda w, _: loss_fn(w), (0.0, 0.1), (0.1,), (0.1,))
    for rows in measure([np.float32([w, w])], []):
        assert rows[0]["increase"] == 0.0
        assert 0.0 <= rows[1]["increase"] <= RISES.get(problem, 0.0) * 1.001
    directions = [[np.ones_like(w)], [np.zeros_like(w)]]
    losses = landscape(loss_fn, [w], directions, points=3)["loss"]
    assert losses[4] == float(loss_fn([tf.constant(w)]))


@pytest.fixture
def eager():
    """Makes no graphs."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.mark.slow
def test_without_graphs(eager):
    """Each function, around a minimum."""
    loss_fn, w, trace, top = PROBLEMS["minimum"]
    worst = pga(loss_fn, [w], 0.1, steps=1)
    assert float(worst.increase) == pytest.approx(0.02, rel=0.01)
    assert float(Hessian(loss_fn, [w]).top_eigenvalue().value) == pytest.approx(
        top, rel=1e-3
    )
    assert float(Hessian(loss_fn, [w]).trace(1).value) == trace
    ((row,),) = StackedSharpness(lambda w, _: loss_fn(w), (0.1,), (), ())([[w]], [])
    assert row["increase"] == 0.0  # Its search stays at a point without slope.
    directions = [[np.ones_like(w)], [np.zeros_like(w)]]
    assert landscape(loss_fn, [w], directions, points=3)["loss"][4] == 0.0


@pytest.mark.parametrize(
    "kind", ["dense", pytest.param("convolution", marks=pytest.mark.slow)]
)
def test_networks(kind):
    """With ReLUs, batch normalization and cross-entropy."""
    layers = keras.layers
    shape, first = ((6,), layers.Dense(4, "relu"))
    if kind == "convolution":
        shape, first = ((4, 4, 1), layers.Conv2D(2, 3, activation="relu"))
    head = layers.BatchNormalization(), layers.Flatten(), layers.Dense(3)
    model = keras.Sequential([keras.Input(shape), first, *head])
    model.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    x = np.random.default_rng(0).standard_normal((16, *shape))
    data = x.astype("float32"), np.arange(16) % 3
    expected = model.evaluate(*data, verbose=0)
    table = sharpness(model, *data, [0.1], relative=True, steps=1)
    assert table["clean_loss"][0] == pytest.approx(expected, rel=1e-5)
    table = loss_landscape(model, *data, points=3)
    assert table["loss"][4] == pytest.approx(expected, rel=1e-5)


def test_a_nan_of_the_loss_is_found():
    """As the checks are there for."""
    with pytest.raises(tf.errors.InvalidArgumentError, match="Infinity or NaN"):
        pga(lambda w: tf.reduce_sum(tf.math.log(w[0])), [-tf.ones(2)], 0.1, steps=1)
