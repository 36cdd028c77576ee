"""The L1 penalty: a loop over coordinates, and scikit-learn's lasso."""

import keras
import numpy as np
import pytest
from keras import ops
from sklearn.linear_model import Lasso

from lrlearn.optimizers import LearnedOptimizer
from tests.optimizers.conftest import RULES, assert_close
from tests.optimizers.test_fit import MODES

pytestmark = pytest.mark.any_backend

L1 = 0.3
RULE = RULES["normalized/adam"]


def _subgradient(g, w):
    """The shortest of g + l1 [-1, 1] at 0, and of g + l1 sign(w) elsewhere."""
    if w == 0:
        return 0.0 if abs(g) <= L1 else g - L1 if g > 0 else g + L1
    return g + L1 if w > 0 else g - L1


def _end(w, d, v):
    """Where a coordinate ends: at 0 unless it stays in its orthant."""
    orthant = np.sign(w) if w else -np.sign(v)
    return w + d if np.sign(w + d) == orthant else 0.0


@pytest.mark.parametrize("learning_rate", [1.0, 100.0])
def test_a_loop_over_coordinates(make_optimizer, learning_rate):
    """For a rule with momentum, from weights of each sign and 0."""
    rng = np.random.default_rng(0)
    w = np.float32([[-1, 0, 1, 0], [0.1, -0.01, 0, 0.05], [0, 0, -0.3, 1e-3]])
    variable = keras.Variable(w)
    optimizer = make_optimizer(l1=L1, learning_rate=learning_rate)
    theta, state = RULE.init_theta(seed=1), RULE.initial_state([w.shape])
    ends = []
    for step in range(1, 6):
        g = rng.normal(scale=0.4, size=w.shape).astype("float32")
        optimizer.apply([ops.convert_to_tensor(g)], [variable])
        v = np.float32(np.vectorize(_subgradient)(g, w))
        flat = v.ravel(), w.ravel(), state, step, [w.shape]
        d, state = RULE.update(theta, *flat)
        d = np.float32(learning_rate) * ops.convert_to_numpy(d).reshape(w.shape)
        w = np.float32(np.vectorize(_end)(w, d, v))
        assert_close(variable, w)
        np.testing.assert_array_equal(variable.numpy() == 0, w == 0)
        ends.append(w == 0)
    assert 0 < np.mean(ends) < 1 and np.any(ends[0] != ends[-1])


@pytest.mark.parametrize("mode", sorted(MODES.keys() - {"eager"}))
def test_fit_ends_at_the_lasso(mode):
    """Its zeros are exact; `l1` is twice scikit-learn's `alpha`."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 6))
    y = x @ [2.0, 0.0, -1.0, 0.0, 0.0, 0.2] + 0.3 * rng.normal(size=40)
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(1)])
    model.set_weights([rng.normal(size=(6, 1)), np.zeros(1)])
    optimizer = LearnedOptimizer.from_preset(
        "lo_none", l1=0.2, total_steps=300, learning_rate=3.0
    )
    model.compile(optimizer, "mse", **MODES[mode])
    data = np.tile(x, (300, 1)), np.tile(y[:, None], (300, 1))
    model.fit(*data, batch_size=40, shuffle=False, verbose=0)
    kernel, bias = model.get_weights()
    expected = Lasso(alpha=0.1, tol=1e-10).fit(x, y)
    np.testing.assert_allclose(kernel[:, 0], expected.coef_, atol=1e-3)
    np.testing.assert_allclose(bias[0], expected.intercept_, atol=1e-3)
    zeros = kernel[:, 0] == 0
    np.testing.assert_array_equal(zeros, expected.coef_ == 0)
    assert 0 < zeros.sum() < 6


def test_biases_and_scales_are_not_penalized(make_optimizer):
    """Also those of two axes."""
    layers = [
        keras.layers.Embedding(3, 4),
        keras.layers.GRU(2, return_sequences=True),
        keras.layers.LayerNormalization(),
        keras.layers.MultiHeadAttention(2, 3),
    ]
    x = layers[2](layers[1](layers[0](np.array([[0, 1, 2]]))))
    layers[3](x, x)
    kernels = []
    for variable in [v for layer in layers for v in layer.trainable_variables]:
        ends = []
        for l1 in (0.0, L1):
            copy = keras.Variable(np.ones(variable.shape), name=variable.name)
            g = ops.convert_to_tensor(np.full(variable.shape, 0.1, "float32"))
            make_optimizer(l1=l1).apply([g], [copy])
            ends.append(copy.numpy())
        if not np.array_equal(*ends):
            kernels.append(variable.name)
    assert kernels == ["embeddings", "kernel", "recurrent_kernel", *["kernel"] * 4]


@pytest.mark.parametrize("where", ["gradient", "weight"])
def test_nan_stays(make_optimizer, where):
    """Zeros do not hide it."""
    w, g = np.ones((2, 2), "float32"), np.ones((2, 2), "float32")
    (g if where == "gradient" else w)[:] = np.nan
    variable = keras.Variable(w)
    make_optimizer(l1=L1).apply([ops.convert_to_tensor(g)], [variable])
    assert np.isnan(variable.numpy()).all()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_zeros_are_exact_in_half_precision(make_optimizer, dtype):
    """A step across 0 ends there."""
    variable = keras.Variable(np.full((4, 4), 0.3), dtype=dtype)
    g = ops.ones((4, 4), dtype)
    make_optimizer(l1=L1, learning_rate=1e3).apply([g], [variable])
    assert not np.any(ops.convert_to_numpy(ops.cast(variable, "float32")))


def test_files_keep_it(make_optimizer):
    """Those of before have none."""
    config = make_optimizer(l1=L1).get_config()
    assert LearnedOptimizer.from_config(config).l1 == L1
    del config["l1"]
    assert LearnedOptimizer.from_config(config).l1 == 0.0


@pytest.mark.parametrize("l1", [-0.1, float("nan"), float("inf"), "0.1", None])
def test_it_is_a_number(make_optimizer, l1):
    with pytest.raises(ValueError, match="`l1` must be a finite number, at least 0. R"):
        make_optimizer(l1=l1)
