"""LearnedOptimizer on every kind of variable and gradient."""

import keras
import numpy as np
import pytest
from keras import ops

from tests.optimizers.conftest import GRADIENTS, W, apply, assert_close, by_hand

pytestmark = pytest.mark.any_backend

BACKEND = keras.backend.backend()
G = GRADIENTS[0]


def _tensors(*gradients):
    return [g if g is None else ops.convert_to_tensor(g) for g in gradients]


@pytest.mark.filterwarnings("ignore:Explicitly requested dtype")  # JAX: no float64
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_variables_of_other_types(make_optimizer, rule, dtype):
    """The rule runs in float32; its step is rounded to the variable's type."""
    optimizer = make_optimizer(learning_rate=10.0)
    variable, g = keras.Variable(W, dtype=dtype), ops.cast(G, dtype)
    optimizer.apply([g], [variable])
    g = ops.convert_to_numpy(ops.cast(g, "float32"))
    (expected,) = by_hand(rule, [g], W, [10.0])
    assert variable.dtype == dtype
    received = ops.convert_to_numpy(ops.cast(variable, "float32"))
    tolerance = {"float16": 2e-3, "bfloat16": 1e-2, "float64": 1e-6}[dtype]
    np.testing.assert_allclose(received, expected, rtol=tolerance)
    assert np.abs(received - W).max() > 2 * tolerance * np.abs(W).max()
    assert {v.dtype for v in optimizer.variables[1:]} == {"float32"}


@pytest.mark.parametrize("shape", [(), (0,), (3, 0), (1,), (2, 1, 3)])
def test_variables_of_any_shape(make_optimizer, rule, shape):
    """Each element is a coordinate of its own."""
    rng = np.random.default_rng(0)
    w, g = (rng.normal(size=shape).astype("float32") for _ in range(2))
    received = apply(make_optimizer(), [g, -g], w)
    expected = by_hand(rule, [g.ravel(), -g.ravel()], w.ravel())
    assert received[-1].shape == shape
    assert_close([value.ravel() for value in received], expected)


def test_missing_gradient_leaves_a_variable_alone(make_optimizer, rule):
    """Keras warns, and the other variables move."""
    used, unused = keras.Variable(W), keras.Variable(W)
    with pytest.warns(UserWarning, match="Gradients do not exist"):
        make_optimizer().apply(_tensors(G, None), [used, unused])
    np.testing.assert_array_equal(unused.numpy(), W)
    assert_close(used, by_hand(rule, [G], W)[0])


@pytest.mark.filterwarnings("ignore:Gradients do not exist")
def test_missing_gradients_are_not_accumulated(make_optimizer, rule):
    """The variables that have some take their step."""
    used, unused = keras.Variable(W), keras.Variable(W)
    optimizer = make_optimizer(gradient_accumulation_steps=2)
    for g in GRADIENTS[:2]:
        optimizer.apply(_tensors(g, None), [used, unused])
    np.testing.assert_array_equal(unused.numpy(), W)
    assert_close(used, by_hand(rule, [GRADIENTS[:2].mean(axis=0)], W)[0])


def test_no_gradient_at_all(make_optimizer):
    """Keras refuses; an empty list is nothing to do."""
    optimizer = make_optimizer()
    with pytest.raises(ValueError, match="No gradients provided"):
        optimizer.apply([None], [keras.Variable(W)])
    optimizer = make_optimizer()
    optimizer.build([])
    optimizer.apply([], [])
    assert int(optimizer.iterations) == 0


@pytest.mark.parametrize("steps", [None, 2])
def test_overwritten_with_the_gradient(make_optimizer, rule, steps):
    """Variables that ask for it, as in float8 training; the rule leaves them alone."""
    scale, w = keras.Variable(W), keras.Variable(W)
    scale.overwrite_with_gradient = True
    optimizer = make_optimizer(gradient_accumulation_steps=steps)
    for _ in range(steps or 1):
        optimizer.apply(_tensors(np.abs(G), G), [scale, w])
    np.testing.assert_array_equal(scale.numpy(), np.abs(G))
    assert_close(w, by_hand(rule, [G], W)[0])


def test_apply_gradients(make_optimizer, rule):
    """The older way."""
    optimizer, variable = make_optimizer(), keras.Variable(W)
    assert int(optimizer.apply_gradients(zip(_tensors(G), [variable], strict=True)))
    assert_close(variable, by_hand(rule, [G], W)[0])


def test_apply_without_variables(make_optimizer, rule):
    """They are those that it was built with; before that, Keras refuses."""
    optimizer, variable = make_optimizer(), keras.Variable(W)
    with pytest.raises(ValueError, match="must already be built"):
        optimizer.apply(_tensors(G))
    optimizer.build([variable])
    optimizer.apply(_tensors(G))
    assert_close(variable, by_hand(rule, [G], W)[0])


def test_one_optimizer_serves_one_model(make_optimizer):
    """As with every Keras optimizer."""
    optimizer = make_optimizer()
    apply(optimizer, GRADIENTS)
    with pytest.raises(ValueError, match="Unknown variable"):
        apply(optimizer, GRADIENTS)


def _sparse(values, rows, shape):
    """Returns the backend's sparse gradient; repeated rows add up."""
    if BACKEND == "tensorflow":
        import tensorflow as tf

        return tf.IndexedSlices(tf.constant(values), tf.constant(rows), shape)
    from jax.experimental.sparse import BCOO

    rows = ops.convert_to_tensor([[row] for row in rows])
    return BCOO((ops.convert_to_tensor(values), rows), shape=shape)


SPARSE_ARGUMENTS = {
    "plain": {},
    "clipnorm": {"clipnorm": 0.5},
    "global_clipnorm": {"global_clipnorm": 0.5},
    "clipvalue": {"clipvalue": 0.5},
    "scaled": {"loss_scale_factor": 4.0},
    "accumulated": {"gradient_accumulation_steps": 2},
}


@pytest.mark.skipif(BACKEND == "torch", reason="Keras has no sparse tensors there")
@pytest.mark.parametrize("arguments", SPARSE_ARGUMENTS.values(), ids=SPARSE_ARGUMENTS)
def test_sparse_gradients_act_as_dense_ones(make_optimizer, arguments):
    """Repeated indices add up before they are clipped; state moves in all rows."""
    table = np.float32([[1, 2], [3, 4], [5, 6], [7, 8]])
    values = np.float32([[0.3, 0.1], [0.5, -1.0], [0.4, 0.2]])
    sparse = _sparse(values, [2, 0, 2], (4, 2))
    dense = np.float32([[0.5, -1.0], [0.0, 0.0], [0.7, 0.3], [0.0, 0.0]])
    received = []
    for g in (sparse, ops.convert_to_tensor(dense)):
        optimizer, variable = make_optimizer(**arguments), keras.Variable(table)
        for _ in range(4):
            optimizer.apply([g], [variable])
        received.append(variable.numpy())
    assert_close(*received)
    assert (received[0] != table).all()


@pytest.mark.skipif(BACKEND == "tensorflow", reason="Keras has it not there")
@pytest.mark.parametrize("wrap", [False, True])
def test_stateless_apply(make_optimizer, rule, wrap):
    """Gives what `apply` does, and leaves all variables alone, of torch no graph."""
    optimizer, variable = make_optimizer(), keras.Variable(W)
    if wrap:
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=1.0)
    optimizer.build([variable])
    before = [v.numpy() for v in optimizer.variables]
    state, w = [v.value for v in optimizer.variables], [variable.value]
    for g in GRADIENTS:
        w, state = optimizer.stateless_apply(state, _tensors(g), w)
    assert_close(ops.convert_to_numpy(w[0]), by_hand(rule, GRADIENTS, W)[-1])
    for old, new in zip(before, optimizer.variables, strict=True):
        np.testing.assert_array_equal(old, new.numpy())
    if BACKEND == "torch":
        assert not any(value.requires_grad for value in state)
