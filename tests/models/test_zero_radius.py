"""At radius 0, a SharpnessAwareModel trains as `keras.Model` does, to the bit."""

import keras
import numpy as np
import pytest

import lrlearn
from lrlearn.regularizers import GAM, SAM
from tests.models.conftest import (
    assert_equal,
    same_model,
    sharpness_aware,
    train,
)

pytestmark = [pytest.mark.any_backend, pytest.mark.long]

BACKEND = keras.backend.backend()
not_torch = pytest.mark.skipif(BACKEND == "torch", reason="Keras has none on torch")
MODES = [
    {"run_eagerly": True},
    pytest.param({"jit_compile": True}, marks=not_torch),
    pytest.param({"steps_per_execution": 2}, marks=not_torch),
]


def _check(make_model, name, make_optimizer=None, **arguments):
    models = [make_model(), sharpness_aware(make_model())]
    plain, ours = (make_optimizer() if make_optimizer else None for _ in range(2))
    expected = train(models[0], name, plain, **arguments)
    received = train(models[1], name, ours, regularizer=SAM(0.0), **arguments)
    assert received == expected
    assert_equal(*[[v.numpy() for v in model.variables] for model in models])
    assert_equal(*[[v.numpy() for v in model.optimizer.variables] for model in models])
    return models


# Keras warns of the layer without a loss.
@pytest.mark.filterwarnings("ignore:Gradients do not exist")
def test_is_keras(name):
    """Weights, metrics, seeds, moving statistics and the optimizer's state."""
    _check(lambda: same_model(name), name)


@pytest.mark.parametrize("mode", MODES, ids=str)
def test_is_keras_in_all_modes(mode):
    """However Keras runs the step."""
    _check(lambda: same_model("classifier"), "classifier", **mode)


@pytest.mark.parametrize(
    "arguments",
    [
        {"gradient_accumulation_steps": 2},
        {"clipnorm": 0.1, "weight_decay": 0.1},
        {"loss_scale_factor": 64.0},
        {"use_ema": True, "ema_overwrite_frequency": 2},
    ],
    ids=str,
)
def test_is_keras_with_arguments_of_the_optimizer(arguments):
    """The optimizer gets what Keras gives it."""
    _check(
        lambda: same_model("linear"),
        "linear",
        lambda: keras.optimizers.Adam(0.01, **arguments),
    )


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_is_keras_in_mixed_precision(policy):
    """Half-precision layers, and the loss scale where Keras adds one."""

    def make_model():
        keras.config.set_dtype_policy(policy)
        try:
            return same_model("classifier")
        finally:
            keras.config.set_dtype_policy("float32")

    models = _check(make_model, "classifier")
    scaled = keras.optimizers.LossScaleOptimizer
    for model in models:
        assert isinstance(model.optimizer, scaled) == (policy == "mixed_float16")


def test_is_keras_without_a_regularizer():
    """`None` is the default."""
    models = [same_model("linear"), sharpness_aware(same_model("linear"))]
    assert train(models[0], "linear") == train(models[1], "linear")
    assert_equal(*[model.get_weights() for model in models])


def test_is_keras_with_a_learned_optimizer():
    """It sees no difference either."""

    def optimizer():
        return lrlearn.LearnedOptimizer.from_preset("lo_sam")

    _check(lambda: same_model("linear"), "linear", optimizer)


def test_more_passes_leave_no_trace():
    """GAM takes four; its gradients are weighted sums, and so rounded."""
    models = [same_model("classifier"), sharpness_aware(same_model("classifier"))]
    optimizers = [keras.optimizers.SGD(0.1) for _ in models]
    train(models[0], "classifier", optimizers[0])
    train(models[1], "classifier", optimizers[1], regularizer=GAM(0.0, 0.0))
    for plain, ours in zip(*(model.variables for model in models), strict=True):
        np.testing.assert_allclose(ours.numpy(), plain.numpy(), rtol=1e-3, atol=1e-5)


def test_a_radius_matters():
    """So that the tests above can fail."""
    models = [sharpness_aware(same_model("linear")) for _ in range(2)]
    histories = [
        train(model, "linear", regularizer=SAM(rho))
        for model, rho in zip(models, (0.0, 0.5), strict=True)
    ]
    assert histories[0] != histories[1]
