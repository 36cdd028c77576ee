"""LearnedOptimizer in TensorFlow's own graphs and checkpoints."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from lrlearn import LearnedOptimizer
from lrlearn.optimizers import xla
from lrlearn.rules import Run
from tests.optimizers.conftest import (
    GRADIENTS,
    RULES,
    W,
    apply,
    assert_close,
    by_hand,
    small_model,
)
from tests.rules.test_contract import large_theta


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


@pytest.mark.filterwarnings("ignore:Gradients do not exist")
@pytest.mark.parametrize("jit_compile", [False, True])
def test_a_variable_without_gradient_keeps_its_state(jit_compile):
    """Of a rule that is told about the run, too."""
    rule, variables = RULES["scheduled"], [keras.Variable(W), keras.Variable(2 * W)]
    optimizer = LearnedOptimizer(rule, large_theta(rule), total_steps=9, rho=0.2)
    optimizer.build(variables)

    @tf.function(jit_compile=jit_compile)
    def step(g):
        optimizer.apply([g, None], variables)

    for g in GRADIENTS:
        step(tf.constant(g))
    np.testing.assert_array_equal(variables[1].numpy(), 2 * W)
    for moments in optimizer.variables[-2:]:
        assert (moments.numpy()[:, :3] != 0).all() and not moments.numpy()[:, 3:].any()
    theta, state, w = large_theta(rule), rule.initial_state(3), W
    for i, g in enumerate(GRADIENTS, start=1):
        d, state = rule.update(theta, g, w, state, i, run=Run(9.0, 0.0, 0.2))
        w = w + d.numpy()
    assert_close(variables[0], w)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_what_a_rule_is_told_changes_without_a_new_graph(jit_compile):
    """And can be read inside of one."""
    rule, traces = RULES["scheduled"], []
    told = [{"total_steps": 5, "rho": 0.3}, {"total_steps": 7}, {"epochs": 2, "rho": 0}]

    def run(decorate):
        optimizer, variable = (
            LearnedOptimizer(rule, large_theta(rule)),
            keras.Variable(W),
        )
        optimizer.build([variable])

        @decorate
        def step(g):
            traces.append(optimizer.total_steps)
            optimizer.apply([g], [variable])

        values = []
        for g, new in zip(GRADIENTS, told, strict=True):
            for name, value in new.items():
                setattr(optimizer, name, value)
            step(tf.constant(g))
            values.append(variable.numpy())
        return values

    graph = run(tf.function(jit_compile=jit_compile))
    assert traces == [5]
    assert_close(graph, run(lambda step: step))
    assert traces == [5, 5, 7, 7]


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


def test_checkpoint_of_what_a_rule_is_told(fit, tmp_path):
    """It comes back, whatever was said before."""
    rule = RULES["scheduled"]
    models = []
    for told in ({"total_steps": 9, "rho": 0.3}, {"epochs": 4}):
        optimizer = LearnedOptimizer(rule, large_theta(rule), **told)
        model = small_model(optimizer)
        checkpoint = tf.train.Checkpoint(model=model, optimizer=optimizer)
        if not models:
            fit(model)
            path = checkpoint.save(tmp_path / "checkpoint")
        checkpoint.restore(path)
        models.append(model)
    optimizer = models[1].optimizer
    assert (optimizer.total_steps, optimizer.epochs) == (9, None)
    assert optimizer.rho == pytest.approx(0.3)
    np.testing.assert_array_equal(*[fit(model) for model in models])


def test_one_mirrored_device(make_model, make_optimizer, fit):
    """tf.distribute's way to update variables gives the same."""
    losses, mirrored = [], tf.distribute.MirroredStrategy(["CPU:0"])
    for strategy in (tf.distribute.get_strategy(), mirrored):
        with strategy.scope():
            model = make_model()
            model.compile(make_optimizer(), "binary_crossentropy")
        losses.append(fit(model, epochs=2))
    assert_close(*losses)


def test_without_xla(make_optimizer, monkeypatch):
    """TensorFlow may have been built without it: one warning, and the same updates."""

    def refuse(*args, **kwargs):
        raise tf.errors.InvalidArgumentError(None, None, "No XLA_CPU_JIT.\nMore.")

    monkeypatch.setattr(tf, "function", refuse)
    xla.is_available.cache_clear()
    rule, variable = RULES["scheduled"], keras.Variable(W)
    with pytest.warns(UserWarning, match="^Updates run without XLA: No XLA_CPU_JIT.$"):
        optimizer = make_optimizer(rule, jit_compile=True)
        optimizer.build([variable])
    for g in GRADIENTS:
        optimizer.apply([tf.constant(g)], [variable])
    assert_close(variable, by_hand(rule, GRADIENTS, W)[-1])
    monkeypatch.undo()
    xla.is_available.cache_clear()
    assert xla.is_available()
