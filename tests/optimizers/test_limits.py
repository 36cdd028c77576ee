"""What Keras cannot do for any optimizer, seen on Adam, as in docs/limits.md."""

import keras
import numpy as np
import pytest
from keras import ops

from tests.optimizers.conftest import W

pytestmark = pytest.mark.any_backend


def _only(backend):
    reason = f"Keras does it, but on {backend}"
    return pytest.mark.skipif(keras.backend.backend() != backend, reason=reason)


def _compiled(make_model, optimizer, **kwargs):
    model = make_model()
    model.compile(optimizer, "binary_crossentropy", **kwargs)
    return model


@_only("jax")
def test_second_fit_with_moving_averages(make_model, fit):
    """`fit` ends with a buffer for both weight and average, which JAX donates twice."""
    model = _compiled(make_model, keras.optimizers.Adam(use_ema=True))
    fit(model)
    with pytest.raises((TypeError, ValueError)):
        fit(model)


@_only("jax")
def test_apply_of_a_loss_scale():
    """`LossScaleOptimizer.apply` assigns inside a `cond`; `fit` does not call it."""
    scaled = keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam())
    with pytest.raises(Exception, match="[Ll]eak|tracer"):
        scaled.apply([ops.convert_to_tensor(W)], [keras.Variable(W)])


@_only("torch")
def test_steps_per_execution(make_model, fit):
    """One step at a time."""
    model = _compiled(make_model, "adam", steps_per_execution=2)
    with pytest.raises(ValueError, match="`steps_per_execution` must be 1"):
        fit(model)


@_only("tensorflow")
def test_stateless_apply():
    """Refused."""
    adam, variable = keras.optimizers.Adam(), keras.Variable(np.float32([1.0]))
    adam.build([variable])
    with pytest.raises(ValueError, match="not supported with the TensorFlow backend"):
        adam.stateless_apply(adam.variables, [variable], [variable])


def test_a_file_half_loaded_under_loss_scaling():
    """`LossScaleOptimizer` counts variables, then sets those of the one inside."""
    store, optimizers = {}, []
    for learning_rate, w in ((0.5, W), (0.25, W[:2])):
        optimizer = keras.optimizers.LossScaleOptimizer(
            keras.optimizers.Adam(learning_rate)
        )
        optimizer.build([keras.Variable(w)])
        optimizers.append(optimizer)
    optimizers[0].save_own_variables(store)
    with pytest.raises(ValueError, match="must match"):
        optimizers[1].load_own_variables(store)
    assert float(optimizers[1].learning_rate) == 0.5
