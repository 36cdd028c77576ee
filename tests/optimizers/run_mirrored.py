"""Trains on two logical CPUs; for `test_distribution`, in a process of its own."""

import tensorflow as tf

tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0],
    [tf.config.LogicalDeviceConfiguration()] * 2,
)

import keras  # noqa: E402
import numpy as np  # noqa: E402
import pytest  # noqa: E402

from lrlearn import LearnedOptimizer, RunLength  # noqa: E402
from tests.optimizers.conftest import (  # noqa: E402
    GRADIENTS,
    RULES,
    W,
    assert_close,
    by_hand,
)

STRATEGY = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
RULE = RULES["mlp"]


def optimizer(rule=RULE, **arguments):
    """Returns one as good as trained."""
    return LearnedOptimizer(rule, rule.init_theta(seed=1), **arguments)


CASES = (
    optimizer,
    lambda: keras.optimizers.LossScaleOptimizer(optimizer()),
    lambda: optimizer(use_ema=True, ema_momentum=0.5, weight_decay=0.1),
    lambda: optimizer(RULES["scheduled"], learning_rate=10.0),
)


def losses(strategy, make, constraint=None):
    """Returns a model's losses with the optimizer that a function returns."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(48, 5)), rng.random(size=(48, 1)).round()
    weights = [rng.normal(size=s) for s in ((5, 4), (4,), (4, 1), (1,))]
    with strategy.scope():
        dense = [
            keras.layers.Dense(units, "sigmoid", kernel_constraint=constraint)
            for units in (4, 1)
        ]
        model = keras.Sequential([keras.Input((5,)), *dense])
        model.set_weights(weights)
        model.compile(make(), "binary_crossentropy")
    settings = {"batch_size": 16, "epochs": 2, "shuffle": False, "verbose": 0}
    settings["callbacks"] = [RunLength()]
    return model.fit(x, y, **settings).history["loss"]


def check_fit():
    """As on one device."""
    for make in CASES:
        one, two = (
            losses(strategy, make)
            for strategy in (tf.distribute.get_strategy(), STRATEGY)
        )
        assert one[1] < one[0]
        np.testing.assert_allclose(one, two, rtol=1e-5)


def check_made_outside():
    """Adam is refused, too; its variables would not be those of replicas."""
    made = optimizer()
    with pytest.raises(ValueError, match=r"must be made inside `with strategy.scope"):
        losses(STRATEGY, lambda: made)
    adam = keras.optimizers.Adam()
    with pytest.raises(RuntimeError, match="Mixing different tf.distribute.Strategy"):
        losses(STRATEGY, lambda: adam)


def check_constraints():
    """Replicas project, and drop what crosses 0 under an L1 penalty, alike."""
    for arguments, constraint in (({}, "non_neg"), ({"l1": 0.05}, None)):
        one, two = (
            losses(strategy, lambda a=arguments: optimizer(**a), constraint)
            for strategy in (tf.distribute.get_strategy(), STRATEGY)
        )
        np.testing.assert_allclose(one, two, rtol=1e-5)
        assert one != losses(STRATEGY, optimizer)


def check_limits():
    """As Adam, it cannot accumulate gradients over replicas or be built elsewhere."""
    message = "`merge_call` called while defining a new graph"
    for make in (keras.optimizers.Adam, optimizer):
        with pytest.raises(RuntimeError, match=message):
            losses(STRATEGY, lambda make=make: make(gradient_accumulation_steps=2))
        with STRATEGY.scope():
            variable, mine = keras.Variable(W), make()
        with pytest.raises(RuntimeError, match='inside "with strategy.scope'):
            mine.build([variable])


def check_custom_loop():
    """Gradients of the replicas add up; each replica ends with the same."""
    with STRATEGY.scope():
        variables = [keras.Variable(W), keras.Variable(W)]
        mine = optimizer()
        mine.build(variables)

    @tf.function
    def step(g):
        def apply():
            share = tf.distribute.get_replica_context().replica_id_in_sync_group
            mine.apply([tf.where(share == 0, 0.25, 0.75) * g], variables[:1])

        STRATEGY.run(apply)

    for g in GRADIENTS:
        step(tf.constant(g))
    expected = by_hand(RULE, GRADIENTS, W)[-1]
    for value in STRATEGY.experimental_local_results(variables[0].value):
        assert_close(value.numpy(), expected)
    np.testing.assert_array_equal(variables[1].numpy(), W)


if __name__ == "__main__":
    check_fit()
    check_made_outside()
    check_constraints()
    check_limits()
    check_custom_loop()
    print("done")
