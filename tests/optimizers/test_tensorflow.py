"""LearnedOptimizer in TensorFlow's own graphs and checkpoints."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from lrlearn import LearnedOptimizer
from tests.optimizers.conftest import GRADIENTS, RULES, W, apply, assert_close, by_hand


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
@pytest.mark.parametrize("jit_compile", [False, True])
def test_graph(make_optimizer, rule, jit_compile):
    """Several variables, and one without gradient, as one by one."""
    variables = [keras.Variable(W), keras.Variable(2 * W), keras.Variable(W)]
    optimizer = make_optimizer(rule)
    optimizer.build(variables)

    @tf.function(jit_compile=jit_compile)
    def step(g):
        optimizer.apply([g, 3 * g], variables[:2])

    for g in GRADIENTS:
        step(tf.constant(g))
    for variable, scale, w in zip(variables, (1, 3), (W, 2 * W), strict=False):
        assert_close(variable, by_hand(rule, scale * GRADIENTS, w)[-1])
    np.testing.assert_array_equal(variables[2].numpy(), W)


def test_first_use_inside_a_graph(make_optimizer):
    """State can be made while a function is traced."""
    optimizer, variable = make_optimizer(), keras.Variable(W)

    @tf.function
    def step(g):
        optimizer.apply([g], [variable])

    for g in GRADIENTS:
        step(tf.constant(g))
    assert_close(variable, apply(make_optimizer(), GRADIENTS)[-1])


@pytest.mark.filterwarnings("ignore:Gradients do not exist")
def test_tf_variables(make_optimizer, rule):
    """Beside Keras's, and without gradient too."""
    ours, theirs = keras.Variable(W), tf.Variable(W)
    optimizer = make_optimizer()
    optimizer.apply([tf.constant(GRADIENTS[0])] * 2, [ours, theirs])
    optimizer.apply([tf.constant(GRADIENTS[1]), None], [ours, theirs])
    first, second = by_hand(rule, GRADIENTS[:2], W)
    assert_close(ours, second)
    assert_close(theirs.numpy(), first)


@pytest.mark.parametrize("trained", [True, False])
@pytest.mark.parametrize("run_eagerly", [True, False])
def test_checkpoint(
    make_model, make_optimizer, fit, rule, tmp_path, trained, run_eagerly
):
    """Training goes on exactly, also in an optimizer that had no theta before."""

    def compiled(optimizer):
        model = make_model()
        model.compile(optimizer, "binary_crossentropy", run_eagerly=run_eagerly)
        return model, tf.train.Checkpoint(model=model, optimizer=optimizer)

    model, checkpoint = compiled(make_optimizer())
    fit(model)
    path = checkpoint.save(tmp_path / "checkpoint")
    theta = rule.init_theta(seed=2) if trained else None
    restored, checkpoint = compiled(LearnedOptimizer(rule, theta))
    checkpoint.restore(path)
    np.testing.assert_array_equal(fit(model), fit(restored))
    for a, b in zip(
        model.optimizer.variables, restored.optimizer.variables, strict=True
    ):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_one_mirrored_device(make_model, make_optimizer, fit):
    """tf.distribute's way to update variables gives the same."""
    losses, mirrored = [], tf.distribute.MirroredStrategy(["CPU:0"])
    for strategy in (tf.distribute.get_strategy(), mirrored):
        with strategy.scope():
            model = make_model()
            model.compile(make_optimizer(), "binary_crossentropy")
        losses.append(fit(model, epochs=2))
    assert_close(*losses)
