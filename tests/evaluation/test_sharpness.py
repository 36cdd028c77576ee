import keras
import numpy as np
import pytest
import tensorflow as tf

from lrlearn.evaluation import SharpnessEvaluator, model_loss, sharpness
from tests.evaluation import quadratics

RADII = (0.001, 0.005, 0.05, 0.1)


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((64, 6)).astype("float32")
    return x, x @ rng.standard_normal(6).astype("float32")


def _model(*layers, **compile_arguments):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input([6]), *layers])
    if compile_arguments:
        model.compile(**compile_arguments)
    return model


def test_linear_regression_matches_the_exact_maxima(data):
    """Its loss is a quadratic of known Hessian and slope."""
    x, y = data
    model = _model(keras.layers.Dense(1, use_bias=False), loss="mse")
    table = sharpness(model, x, y, radii=RADII)
    # mean (xw - y)^2 has Hessian 2x'x/n and gradient 2x'(xw - y)/n.
    x, w = x.astype(float), model.get_weights()[0][:, 0].astype(float)
    eigenvalues, vectors = np.linalg.eigh(2 * x.T @ x / len(x))
    slope = 2 * x.T @ (x @ w - y) / len(x)
    g = vectors.T @ slope
    for row in table.itertuples():
        r = row.radius
        maximum = quadratics.maximum(eigenvalues, g, r)
        assert row.clean_loss == pytest.approx(np.mean((x @ w - y) ** 2), rel=1e-5)
        assert 0.99 <= row.increase / maximum <= 1.001
        assert row.max_loss == pytest.approx(row.clean_loss + row.increase, rel=1e-5)
        steepest = 2 * quadratics.maximum(eigenvalues**2, eigenvalues * g, r) + g @ g
        assert 0.99 <= row.max_gradient_norm / np.sqrt(steepest) <= 1.001
        e = r * g / np.linalg.norm(g)
        gap = g @ e + e @ (eigenvalues * e) / 2
        assert row.surrogate_gap == pytest.approx(gap, rel=1e-3)


def test_table_is_as_documented(data):
    """Columns, radii, and the gap never above the maximum."""
    model = _model(keras.layers.Dense(1), loss="mse")
    table = sharpness(model, *data, steps=2)
    assert list(table) == [
        "radius",
        "clean_loss",
        "max_loss",
        "increase",
        "max_gradient_norm",
        "surrogate_gap",
    ]
    assert table["radius"].tolist() == list(RADII)
    assert np.isfinite(table.to_numpy()).all()
    assert (table["increase"] >= table["surrogate_gap"] * (1 - 1e-6)).all()


def test_relative_radii_are_multiples_of_the_parameter_norm():
    """The norm is that over all parameters."""
    evaluator = SharpnessEvaluator(lambda w: tf.reduce_sum(w[0]) + tf.reduce_sum(w[1]))
    params = [np.float32([3.0, 0.0]), np.float32([[4.0]])]  # |w| = 5, |g| = sqrt(3)
    table = evaluator(params, radii=[0.1, 0.2], relative=True)
    np.testing.assert_allclose(table["increase"], [0.5 * 3**0.5, 3**0.5], rtol=1e-4)
    assert table["radius"].tolist() == [0.1, 0.2]


def test_no_maximum_is_below_that_of_a_smaller_radius():
    """In any order of the radii."""
    # One iteration often ends in a worse maximum of a wave than that of a smaller ball.
    a = np.random.default_rng(0).standard_normal((8, 3))
    evaluator = SharpnessEvaluator(
        lambda w: tf.reduce_sum(tf.sin(9 * tf.linalg.matvec(a, w[0]))), steps=1
    )
    radii = np.linspace(0.1, 3, 12)
    table = evaluator([np.zeros(3)], radii=radii)
    maxima = table[["max_loss", "increase", "max_gradient_norm"]]
    assert (maxima.diff().iloc[1:] >= 0).all(axis=None)
    backwards = evaluator([np.zeros(3)], radii=radii[::-1])
    np.testing.assert_allclose(backwards[::-1], table, rtol=1e-9)


@pytest.mark.parametrize("loss", ["mse", "mae", keras.losses.Huber(), "categorical"])
def test_clean_loss_is_that_of_evaluate(data, loss):
    """Keras's `evaluate`, regularization losses included."""
    x, y = data
    outputs = 3 if loss == "categorical" else 1
    if loss == "categorical":
        loss, y = keras.losses.SparseCategoricalCrossentropy(True), (y > 0).astype(int)
    dense = keras.layers.Dense(outputs, kernel_regularizer=keras.regularizers.L2(0.1))
    model = _model(dense, loss=loss)
    value = model_loss(model, x, y)([v.value for v in model.trainable_variables])
    assert float(value) == pytest.approx(model.evaluate(x, y, verbose=0), rel=1e-5)


def test_binary_targets_do_not_broadcast(data):
    """Targets `[n]` meet outputs `[n, 1]` one by one."""
    x, y = data
    model = _model(keras.layers.Dense(1, "sigmoid"), loss="binary_crossentropy")
    value = model_loss(model, x, y > 0)([v.value for v in model.trainable_variables])
    assert float(value) == pytest.approx(model.evaluate(x, y > 0, verbose=0), rel=1e-5)


def test_model_is_left_as_it_was(data):
    """Weights, statistics and seeds; and inference is what is measured."""
    x, y = data
    layers = keras.layers
    model = _model(
        layers.Dense(8),
        layers.BatchNormalization(),
        layers.Dropout(0.5),
        layers.Dense(1),
    )
    model.layers[1].moving_mean.assign(np.arange(8.0))
    before = [v.numpy() for v in model.variables]
    table = sharpness(model, x, y, radii=[0.1], loss="mse", steps=2)
    for old, variable in zip(before, model.variables, strict=True):
        np.testing.assert_array_equal(old, variable.numpy())
    expected = np.mean((model(x, training=False).numpy()[:, 0] - y) ** 2)
    assert table["clean_loss"][0] == pytest.approx(expected, rel=1e-5)


def test_one_graph_serves_many_parameters_and_states(data):
    """The loss is not traced again."""
    x, y = data
    model = _model(keras.layers.BatchNormalization(), keras.layers.Dense(1), loss="mse")
    loss_fn, calls = model_loss(model, x, y), []

    def counted(params, state):
        calls.append(None)
        return loss_fn(params, state)

    evaluator = SharpnessEvaluator(counted, steps=1)
    params = [v.numpy() for v in model.trainable_variables]
    state = [v.numpy() for v in model.non_trainable_variables]
    evaluator(params, state, radii=[0.1])
    count = len(calls)
    shifted = [s + 1.0 for s in state]
    table = evaluator([2 * w for w in params], shifted, radii=[0.2], seed=1)
    assert len(calls) == count
    for variable, value in zip(model.trainable_variables, params, strict=True):
        variable.assign(2 * value)
    for variable, value in zip(model.non_trainable_variables, shifted, strict=True):
        variable.assign(value)
    expected = model.evaluate(x, y, verbose=0)
    assert table["clean_loss"][0] == pytest.approx(expected, rel=1e-5)


def test_model_with_several_inputs(data):
    """A dict of arrays is as good as one."""
    x, y = data
    inputs = {name: keras.Input([6], name=name) for name in ("a", "b")}
    sums = keras.layers.Add()([inputs["a"], inputs["b"]])
    model = keras.Model(inputs, keras.layers.Dense(1)(sums))
    value = model_loss(model, {"a": x, "b": x}, y, "mse")(
        [v.value for v in model.trainable_variables]
    )
    expected = np.mean((model({"a": x, "b": x}).numpy()[:, 0] - y) ** 2)
    assert float(value) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"radii": []}, "`radii` must hold at least one. Received: radii="),
        ({"radii": 0.1}, "`radii` must be a list of numbers. Received: 0.1"),
        ({"radii": ["far"]}, "finite number >= 0. Received: radii=far"),
        ({"method": "fgsm"}, "`method` must be one of .* Received: method='fgsm'"),
        ({"radii": [0.1, -0.1]}, "finite number >= 0. Received: radii=-0.1"),
        ({"radii": [float("nan")]}, "finite number >= 0. Received: radii=nan"),
        ({"loss": None}, "`loss` must be given"),
        ({"loss": 3}, "`loss` must be|The loss must be"),
        ({"x": np.zeros((0, 6)), "y": np.zeros(0)}, "must .* Received: "),
        ({"y": np.zeros(3)}, "takes. Received: .* of shape \\(3,\\)"),
        ({"steps": 0}, "`steps` must be an integer >= 1"),
        ({"restarts": 0}, "`restarts` must be an integer >= 1"),
    ],
)
def test_arguments_must_be_valid(data, arguments, message):
    """One line says the rule."""
    x, y = data
    model = _model(keras.layers.Dense(1))
    with pytest.raises(ValueError, match=message):
        sharpness(model, **({"x": x, "y": y, "loss": "mse"} | arguments))


def test_model_must_be_built(data):
    """There would be no weights."""
    message = "`model` must be a keras.Model that is built.* Received: "
    for model in (keras.Sequential([keras.layers.Dense(1)]), lambda x: x, None):
        with pytest.raises(ValueError, match=message):
            sharpness(model, *data, loss="mse")
