"""Rules in TensorFlow's graphs, as meta-training runs them."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.rules.test_contract import RULES, large_theta

SHAPES = [(2, 3), (0, 4), ()]
N = 7


def _gradients():
    """Returns gradients, and weights of the updates, of two steps."""
    gradients, weights = np.random.default_rng(0).normal(size=(2, 2, N))
    gradients[:, 0], gradients[:, 1], gradients[1:, 2] = 0.0, 1e30, 1e-30
    return gradients.astype("float32"), weights.astype("float32")


def _meta_gradient(rule, theta, gradients, weights):
    """Returns the updates, the state, and the gradient of a sum of the updates."""
    w, state = tf.linspace(-1.0, 1.0, N), rule.initial_state(SHAPES)
    updates = []
    with tf.GradientTape() as tape:
        tape.watch(theta)
        for step, g in enumerate(tf.unstack(gradients), start=1):
            d, state = rule.update(theta, g, w, state, step, SHAPES)
            updates.append(d)
            w = w + d
        loss = tf.reduce_sum(weights * tf.stack(updates))
    return updates, state, tape.gradient(loss, theta)


def _theta(rule):
    return {name: tf.constant(value) for name, value in large_theta(rule).items()}


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
@pytest.mark.parametrize("jit_compile", [False, True])
def test_compiled_equals_eager(rule, jit_compile):
    """Values and gradients with respect to theta agree, and are finite."""

    def meta_gradient(theta, gradients, weights):
        return _meta_gradient(rule, theta, gradients, weights)

    theta = _theta(rule)
    eager = meta_gradient(theta, *_gradients())
    compiled = tf.function(meta_gradient, jit_compile=jit_compile)(theta, *_gradients())
    _assert_equal(compiled, eager)
    for name, gradient in eager[2].items():
        assert np.isfinite(gradient).all() and np.abs(gradient).max() > 0, name


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_the_form_for_xla_has_the_same_gradients(rule):
    """With respect to theta."""
    theta = _theta(rule)
    received, expected = (
        _meta_gradient(form, theta, *_gradients()) for form in (rule.for_xla(), rule)
    )
    _assert_equal(received, expected)


def _assert_equal(received, expected):
    for part, tolerance in ((0, 1e-5), (1, 1e-5), (2, 1e-4)):
        keras.tree.map_structure(
            lambda a, b, tolerance=tolerance: _close(a, b, tolerance),
            received[part],
            expected[part],
        )


def _close(a, b, tolerance):
    scale = np.abs(b).max(initial=1e-6)
    np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * scale)
