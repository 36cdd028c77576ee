"""Trains on two logical CPUs; for `test_distribution`, in a process of its own."""

import tensorflow as tf

tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0],
    [tf.config.LogicalDeviceConfiguration()] * 2,
)

import keras  # noqa: E402
import numpy as np  # noqa: E402

from lrlearn.regularizers import L2, SAM  # noqa: E402
from tests.models.conftest import (  # noqa: E402
    TARGETS,
    X,
    assert_equal,
    linear,
    same_model,
    sharpness_aware,
    train,
)
from tests.models.quadratic import (  # noqa: E402
    RATE,
    RHO,
    W,
    close,
    gradient,
    sam,
)

STRATEGY = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
HALVES = [{"x": X[:12], "y": TARGETS[:12]}, {"x": X[12:], "y": TARGETS[12:]}]


def check_zero_radius(policy):
    """Exactly what Keras does under the strategy, loss scale and logs included."""
    results = []
    keras.config.set_dtype_policy(policy)
    with STRATEGY.scope():
        models = [same_model("classifier"), sharpness_aware(same_model("classifier"))]
        results.append(train(models[0], "classifier"))
        results.append(train(models[1], "classifier", regularizer=SAM(0.0)))
    keras.config.set_dtype_policy("float32")
    assert results[0] == results[1]
    assert_equal(*[model.get_weights() for model in models])


def step(regularizer, **arguments):
    """Returns the kernel after one step, and the logged loss."""
    with STRATEGY.scope():
        model = linear()
        model.compile(
            keras.optimizers.SGD(RATE), "mse", regularizer=regularizer, **arguments
        )
    logs = model.fit(X, TARGETS, batch_size=24, shuffle=False, verbose=0).history
    return model.get_weights()[0], logs["loss"][0]


def check_perturbation():
    """Each replica's own; the logged loss is the plain one of the whole batch."""
    kernel, loss = step(SAM(RHO))
    close(kernel, W - RATE * np.mean([sam(W, **half) for half in HALVES], axis=0))
    close(loss, np.mean((X @ W - TARGETS) ** 2))
    late, _ = step(SAM(RHO), start_fraction=0.5)
    close(late, W - RATE * gradient(W))


def check_other_fields():
    """One that does not scale with the loss."""
    kernel, _ = step(L2(0.5))
    close(kernel, W - RATE * (gradient(W) + 0.5 * W))


if __name__ == "__main__":
    check_zero_radius("float32")
    check_zero_radius("mixed_float16")
    check_perturbation()
    check_other_fields()
    print("done")
