"""Landscapes are the loss on the plane that the directions span."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from lrlearn.evaluation import landscape, loss_landscape, random_directions

layers = keras.layers


@pytest.fixture(scope="module")
def model():
    """A model with a convolution, batch normalization, biases and dense layers."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input([4, 4, 2]),
            layers.Conv2D(5, 3, bias_initializer="ones"),
            layers.BatchNormalization(),
            layers.Dropout(0.5),
            layers.Flatten(),
            layers.Dense(3, bias_initializer="ones"),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(loss=loss)
    return model


@pytest.fixture(scope="module")
def data():
    """Images and classes."""
    rng = np.random.default_rng(0)
    return rng.standard_normal((16, 4, 4, 2)).astype("float32"), np.arange(16) % 3


def test_of_a_quadratic_is_the_formula():
    """w'Aw/2 + b'w at every point of the grid, on parameters of any shape."""
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((6, 6)), rng.standard_normal(6)
    w, d1, d2 = rng.standard_normal((3, 6))

    def loss_fn(params):
        v = tf.concat([tf.reshape(p, [-1]) for p in params], axis=0)
        return tf.tensordot(v, tf.linalg.matvec(a, v) / 2 + b, 1)

    params, *directions = ([v[:4].reshape(2, 2), v[4:]] for v in (w, d1, d2))
    table = landscape(loss_fn, params, directions, span=0.5, points=5)
    assert list(table) == ["alpha", "beta", "loss"] and len(table) == 25
    steps = [-0.5, -0.25, 0.0, 0.25, 0.5]
    assert sorted(set(table["alpha"])) == sorted(set(table["beta"])) == steps
    assert not table[["alpha", "beta"]].duplicated().any()
    for row in table.itertuples():
        v = w + row.alpha * d1 + row.beta * d2
        assert row.loss == pytest.approx(v @ a @ v / 2 + b @ v, rel=1e-12)


def test_filters_of_the_directions_have_the_norms_of_the_weights(model):
    """Columns of a kernel, its last axis in a convolution; nothing else moves."""
    directions = random_directions(model.trainable_variables)
    for direction in directions:
        for w, d in zip(model.trainable_variables, direction, strict=True):
            w, d = w.numpy(), d.numpy()
            assert w.shape == d.shape and w.dtype == d.dtype
            if w.ndim < 2:
                assert not d.any()
            for j in range(w.shape[-1] if w.ndim >= 2 else 0):
                norms = [np.linalg.norm(v[..., j].ravel()) for v in (w, d)]
                assert norms[1] == pytest.approx(norms[0], rel=1e-6)
    kernels = [d[0].numpy().ravel() for d in directions]
    # 90 random entries: the cosine has a standard deviation of about 0.1.
    assert abs(np.corrcoef(*kernels)[0, 1]) < 0.5


def test_directions_are_shared_by_seed_up_to_the_norms():
    """Models differ by the norms of their filters alone; other seeds in all."""
    w = np.random.default_rng(0).standard_normal((2, 7, 3))
    one, other, another = (
        random_directions([kernel], seed)[0][0].numpy()
        for kernel, seed in ((w[0], 3), (w[1], 3), (w[0], 4))
    )
    ratio = one / other
    np.testing.assert_allclose(ratio, np.broadcast_to(ratio[:1], ratio.shape))
    assert not np.isclose(one, another).any()


def test_filters_that_are_zero_stay_zero():
    """No division by their norm."""
    (d, *_), _ = random_directions([tf.constant([[0.0, 3.0], [0.0, 4.0]])])
    np.testing.assert_allclose(tf.norm(d, axis=0), [0.0, 5.0], rtol=1e-6)


def test_of_a_model(model, data):
    """Losses are those of `evaluate` with the weights moved; the model stays."""
    before = [v.numpy() for v in model.variables]
    table = loss_landscape(model, *data, span=0.5, points=5, seed=2)
    for value, variable in zip(before, model.variables, strict=True):
        np.testing.assert_array_equal(value, variable.numpy())
    losses = table.set_index(["alpha", "beta"])["loss"]
    expected = model.evaluate(*data, verbose=0)
    assert losses[0.0, 0.0] == pytest.approx(expected, rel=1e-6)
    weights = model.trainable_variables
    d1, d2 = random_directions(weights, seed=2)
    moved = keras.models.clone_model(model)
    moved.compile(loss=model.loss)
    moved.set_weights(model.get_weights())
    for v, w, a, b in zip(moved.trainable_variables, weights, d1, d2, strict=True):
        v.assign(w + 0.25 * a - 0.5 * b)
    expected = moved.evaluate(*data, verbose=0)
    assert losses[0.25, -0.5] == pytest.approx(expected, rel=1e-5)


def test_the_grid_takes_one_trace():
    """The loss is traced once, not once a point, and not run in Python."""
    calls = []

    def loss_fn(params):
        calls.append(None)
        return tf.reduce_sum(params[0])

    directions = ([tf.ones([2, 2])],) * 2
    landscape(loss_fn, [tf.ones([2, 2])], directions, points=np.int64(9))
    assert len(calls) == 1


def test_losses_that_are_not_finite_are_kept():
    """The table says where the loss overflows."""
    table = landscape(
        lambda w: tf.where(w[0][0] > 0, float("inf"), tf.math.log(1 + w[0][0])),
        [tf.zeros(1)],
        ([[1.0]], [[1.0]]),
        points=3,
    )
    total = table["alpha"] + table["beta"]
    assert np.isposinf(table["loss"][total > 0]).all()
    assert np.isnan(table["loss"][total < -1]).all()
    assert (table["loss"][total == 0] == 0).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"span": 0.0}, "`span` must be a positive number. Received: span=0.0"),
        ({"span": float("inf")}, "`span` must be a positive number"),
        ({"points": 1}, "`points` must be an integer >= 2. Received: points=1"),
        ({"points": 2.5}, "`points` must be an integer >= 2"),
        (
            {"x": np.zeros((0, 4, 4, 2)), "y": np.zeros(0)},
            "must be what `keras.Model.evaluate` takes|must hold at least",
        ),
        ({"loss": "msee"}, "`loss` must be|The loss must be"),
    ],
)
def test_arguments_must_be_valid(model, data, arguments, message):
    """One line says the rule."""
    x, y = data
    with pytest.raises(ValueError, match=message):
        loss_landscape(model, **({"x": x, "y": y} | arguments))


@pytest.mark.parametrize(
    "directions",
    [
        [[tf.ones([2, 3]), tf.ones(3)]],
        [tf.ones([2, 3]), tf.ones(3)],
        [[tf.ones([2, 3]), tf.ones(3)]] * 3,
        [[tf.ones([2, 3])]] * 2,
        [[tf.ones(3), tf.ones([2, 3])]] * 2,
        [[tf.ones([2, 3]), tf.ones(1)]] * 2,
        [[1.0, 1.0]] * 2,
    ],
)
def test_directions_must_be_two_like_the_parameters(directions):
    """Nothing is broadcast; one line says the rule and what came."""
    params = [tf.zeros([2, 3]), tf.zeros(3)]
    with pytest.raises(ValueError, match="`directions` must be two lists") as error:
        landscape(lambda w: tf.reduce_sum(w[0]), params, directions, points=2)
    message = str(error.value)
    assert "[(2, 3), (3,)] of `params`. Received: [" in message and "\n" not in message


def test_options_are_named():
    """Their order is not that of `sharpness`."""
    with pytest.raises(TypeError, match="positional arguments"):
        loss_landscape(None, None, None, 1.0)


def test_parameters_must_not_be_empty():
    """There would be no plane."""
    with pytest.raises(ValueError, match="`params` must be a list of at least one"):
        landscape(lambda w: 0.0, [], ([], []))
