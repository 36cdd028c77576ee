"""Rounding errors are those of the coarsest type in which a loss is computed."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from lrlearn.evaluation import (
    Hessian,
    SharpnessEvaluator,
    StackedSharpness,
    pga,
    sharpness,
)
from lrlearn.evaluation.flat import Function, HalfSquaredGradient

pytestmark = pytest.mark.long

RADII = np.array([1e-5, 1e-4, 1e-3, 1e-2, 0.1])
# The types of parameters, products and loss. Last, the smallest radius that they allow:
# the gradient's rounding errors, about its epsilon, must be small beside the radius.
TYPES = [
    ("float64", "float64", "float64", 1e-5),
    ("float64", "float64", "float32", 1e-5),
    ("float64", "float32", "float64", 1e-5),
    ("float32", "float32", "float32", 1e-5),
    ("float32", "float16", "float32", 1e-2),
    ("float32", "bfloat16", "float32", 0.1),
    ("float16", "float16", "float32", 1e-2),
    ("float16", "float16", "float16", 1e-2),
    ("bfloat16", "bfloat16", "bfloat16", 0.1),
]


@pytest.fixture(scope="module")
def regression():
    """Data `x` and `y`, the minimum of mean (xw - y)^2, and its top eigenvalue."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((64, 6))
    y = x @ rng.standard_normal(6) + 0.5 * rng.standard_normal(64)
    minimum = np.linalg.lstsq(x, y, rcond=None)[0]
    return x, y, minimum, np.linalg.eigvalsh(2 * x.T @ x / len(x))[-1]


def _loss(regression, products, loss):
    x, y, *_ = regression

    def loss_fn(params, *_):
        w = tf.cast(params[0], products)
        outputs = tf.linalg.matvec(tf.constant(x, products), w)
        return tf.reduce_mean((tf.cast(outputs, loss) - tf.constant(y, loss)) ** 2)

    loss_fn.compute_dtype = products
    return loss_fn


@pytest.mark.parametrize(("params", "products", "loss", "smallest"), TYPES)
def test_increase_around_a_minimum(regression, params, products, loss, smallest):
    """The maximum is top r^2/2, as far down as the types allow."""
    *_, minimum, top = regression
    loss_fn = _loss(regression, products, loss)
    w, radii = tf.cast(minimum, params), RADII[smallest <= RADII].tolist()
    exact = top * np.square(radii) / 2
    coarse = "16" in products
    table = SharpnessEvaluator(loss_fn, steps=5)([w], radii=radii)
    ratio = table["increase"] / exact
    np.testing.assert_allclose(ratio, 1.0, rtol=0.05 if coarse else 0.01)
    (rows,) = StackedSharpness(loss_fn, radii, (), (), steps=20)([w[None]], [])
    ratio = [row["increase"] for row in rows] / exact
    np.testing.assert_allclose(ratio, 1.0, rtol=0.2 if coarse else 0.1)


@pytest.mark.parametrize(("params", "products", "loss", "_"), TYPES)
def test_the_top_eigenvalue_converges(regression, params, products, loss, _):
    """The residual drowns in rounding errors of products of that type."""
    *_, minimum, expected = regression
    loss_fn = _loss(regression, products, loss)
    top = Hessian(loss_fn, [tf.cast(minimum, params)]).top_eigenvalue()
    assert bool(top.converged) and int(top.iterations) < 20
    coarse = 0.01 if "16" in products else 1e-3
    assert float(top.value) == pytest.approx(expected, rel=coarse)


@pytest.mark.parametrize("objective", ["loss", "gradient_norm"])
def test_arguments_of_the_loss_do_not_hide_its_type(regression, objective):
    """The same with data bound or handed over, in float64 but for the products."""
    *_, minimum, top = regression
    loss_fn = _loss(regression, "float32", "float64")
    worst = pga(loss_fn, [minimum], 1e-5, objective, steps=5)
    assert float(worst.increase) == pytest.approx(top * 1e-10 / 2, rel=0.01)
    assert float(worst.gradient_norm) == pytest.approx(top * 1e-5, rel=0.01)


@pytest.mark.parametrize(
    ("params", "compute", "loss", "epsilon"),
    [
        (["float64"], None, "float64", 2.0**-52),
        (["float64"], None, "float32", 2.0**-23),
        (["float64"], "float32", "float64", 2.0**-23),
        (["float64", "float32"], "float64", "float64", 2.0**-23),
        (["float32", "bfloat16"], "float16", "float32", 2.0**-7),
        (["float32"], "float16", "float64", 2.0**-10),
        (["float32"], None, "float16", 2.0**-10),
    ],
)
def test_the_coarsest_type_counts(params, compute, loss, epsilon):
    """Whichever it is."""

    def loss_fn(params):
        return sum(tf.cast(tf.reduce_sum(w), loss) for w in params)

    if compute:
        loss_fn.compute_dtype = compute
    function = Function(loss_fn, [tf.ones(2, dtype) for dtype in params])
    half = HalfSquaredGradient(function)
    half.value(half.zero)
    assert function.epsilon == half.epsilon == epsilon


@pytest.fixture
def floatx():
    """Sets Keras's type of losses, and sets it back."""
    before = keras.config.floatx()
    yield keras.config.set_floatx
    keras.config.set_floatx(before)


@pytest.mark.parametrize("loss", ["float32", "float64"])
def test_a_float64_model(regression, floatx, loss):
    """Keras computes its loss in `floatx`, whatever the model's type is."""
    x, y, minimum, top = regression
    model = keras.Sequential(
        [keras.Input([6]), keras.layers.Dense(1, use_bias=False, dtype="float64")]
    )
    model.set_weights([minimum[:, None]])
    floatx(loss)
    table = sharpness(model, x, y, RADII.tolist(), loss="mse", steps=5)
    np.testing.assert_allclose(table["increase"], top * RADII**2 / 2, rtol=0.01)


@pytest.mark.parametrize(
    ("policy", "smallest"), [("mixed_float16", 1e-2), ("mixed_bfloat16", 0.1)]
)
def test_a_model_of_mixed_precision(regression, policy, smallest):
    """Losses are float32, the products before are not."""
    x, y, minimum, top = regression
    dense = keras.layers.Dense(1, use_bias=False, dtype=policy)
    model = keras.Sequential([keras.Input([6]), dense])
    model.set_weights([minimum[:, None]])
    radii = RADII[smallest <= RADII]
    table = sharpness(model, x, y, radii.tolist(), loss="mse", steps=5)
    np.testing.assert_allclose(table["increase"], top * radii**2 / 2, rtol=0.05)
