"""The teacher and the meta-loss."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from lrlearn.meta.unroll import unroll
from lrlearn.regularizers import GAM, SAM, value_and_gradients
from lrlearn.rules import (
    CoordinatewiseLSTM,
    PerParameterMLP,
    ScheduledLSTM,
    ScheduledMLP,
)
from tests.meta.problems import RULE, fix_batches, mlp, objective, start_of, theta_of

SEED = tf.constant([0, 1])
SIZES = [256, 4, 40, 10, 10]  # of the tensors of `mlp`, and of the padding
DIAL_RULE = ScheduledMLP(units=4, default_rho=0.05)


def _loss_and_gradient(p, optimizee, split):
    x, y = p.task.batch(split, SEED)

    def loss_fn(params):
        return p.task.evaluate_loss(params, [], x, y, training=True)[0]

    loss, g = value_and_gradients(loss_fn, p.params(optimizee))
    g = np.concatenate([np.ravel(part) for part in g])
    return float(loss), np.pad(g, (0, optimizee.w.shape[0] - g.size))


@pytest.mark.parametrize("meta_split", ["train", "validation"])
@pytest.mark.parametrize("kind", ["log", "loss"])
def test_meta_loss_and_its_gradient(kind, meta_split):
    """L and grad L, or log L and grad L / L, on the split; `g` is on train always."""
    p = objective(mlp(), meta_loss=kind, meta_split=meta_split)
    start = start_of(p)
    evaluation = p.evaluate_field(start, p.batch(SEED))
    loss, g = _loss_and_gradient(p, start, "train")
    meta_loss, v = _loss_and_gradient(p, start, meta_split)
    np.testing.assert_allclose(evaluation.loss, loss, rtol=1e-6)
    np.testing.assert_allclose(evaluation.g, g, atol=1e-7)
    expected = (np.log(meta_loss), v / meta_loss) if kind == "log" else (meta_loss, v)
    np.testing.assert_allclose(evaluation.meta_loss, expected[0], rtol=1e-5)
    np.testing.assert_allclose(evaluation.v, expected[1], atol=1e-6)
    assert (meta_split == "train") == np.allclose(g, v, atol=1e-4)


@pytest.mark.parametrize("regularizer", [None, SAM(0.1)], ids=["none", "sam"])
def test_loss_offset(regularizer):
    """log(L + R + c), and F(w) / (L + c)."""
    task = fix_batches(mlp())
    p = objective(task, regularizer=regularizer, loss_offset=0.5)
    plain = objective(task, regularizer=regularizer, meta_loss="loss")
    start, batch = start_of(p), p.batch(SEED)
    field = p.evaluate_field(start, batch)
    expected = plain.evaluate_field(start, batch)
    np.testing.assert_allclose(field.meta_loss, np.log(expected.loss + 0.5), rtol=1e-6)
    np.testing.assert_allclose(field.v, expected.v / (expected.loss + 0.5), atol=1e-6)
    penalty = p.evaluate_penalty(start, batch)
    regularized = plain.evaluate_penalty(start, batch).meta_loss
    np.testing.assert_allclose(penalty.meta_loss, np.log(regularized + 0.5), rtol=1e-6)


@pytest.mark.parametrize("late", [0.7, 1.0])
def test_late_weight(late):
    """1 - a in the first four fifths of a run, 1 + 4 a in the last; on average 1."""
    task, weights = fix_batches(mlp()), {"meta_loss": [], "penalty": [], "v": []}
    p, plain = objective(task, late_weight=late), objective(task)
    start, batch = start_of(p, steps=10), p.batch(SEED)
    field = plain.evaluate_field(start, batch)
    for step in range(1, 11):
        optimizee = start._replace(step=tf.constant(step))
        evaluation = p.evaluate_field(optimizee, batch)
        penalty = p.evaluate_penalty(optimizee, batch).meta_loss
        weights["meta_loss"].append(evaluation.meta_loss / field.meta_loss)
        weights["penalty"].append(penalty / field.meta_loss)
        weights["v"].append(np.linalg.norm(evaluation.v) / np.linalg.norm(field.v))
        np.testing.assert_array_equal(evaluation.loss, field.loss)
        np.testing.assert_array_equal(evaluation.g, field.g)
    expected = 8 * [1 - late] + 2 * [1 + 4 * late]
    assert np.mean(expected) == pytest.approx(1.0)
    for received in weights.values():
        np.testing.assert_allclose(received, expected, rtol=1e-5, atol=1e-7)


def test_reparameterization():
    """The same model, of rescaled weights; the rule's gradient is the scale times g."""
    p = objective(mlp(), regularizer=SAM(0.1), meta_loss="loss")
    plain, start = start_of(p), start_of(p, factor=3.0, factor_range=2.0)
    for one, other in zip(p.params(start), p.params(plain), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)
    factors = [set(part.numpy()) for part in tf.split(start.scale, SIZES)]
    assert [len(values) for values in factors] == [1, 1, 1, 1, 1]
    factors = [values.pop() for values in factors]
    assert len(set(factors)) == 5 and 1.5 <= min(factors) <= max(factors) <= 6.0
    np.testing.assert_allclose(start.w[:256] * factors[0], plain.w[:256], rtol=1e-6)
    loss, g = _loss_and_gradient(p, start, "train")
    batch, expected = p.batch(SEED), p.evaluate_field(plain, p.batch(SEED))
    received = p.evaluate_field(start, batch)
    np.testing.assert_allclose(received.loss, loss, rtol=1e-6)
    np.testing.assert_allclose(received.meta_loss, loss, rtol=1e-6)
    np.testing.assert_allclose(received.g, start.scale * g, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(p.gradient(start, batch)[0], received.g)
    np.testing.assert_allclose(received.v, start.scale * expected.v, rtol=1e-3)
    penalties = [p.evaluate_penalty(o, batch).meta_loss for o in (start, plain)]
    np.testing.assert_allclose(*penalties, rtol=1e-6)


def test_the_rescaled_model_moves_by_the_scale():
    """Where the rule moves w by d, the model moves by the scale times d."""
    p = objective()
    start = start_of(p, factor=3.0, factor_range=2.0)
    moved = start._replace(w=start.w + 0.5)
    moves = [b - a for a, b in zip(p.params(start), p.params(moved), strict=True)]
    moves = np.concatenate([np.ravel(move) for move in moves])
    np.testing.assert_allclose(moves, 0.5 * start.scale[:310], rtol=1e-5)


def _perturbed(p, optimizee, radius, split="train"):
    """Returns the optimizee at a distance from `optimizee`, along the gradient."""
    _, g = _loss_and_gradient(p, optimizee, split)
    return optimizee._replace(w=optimizee.w + radius * g / np.linalg.norm(g))


@pytest.mark.parametrize("rho", [0.0, 0.1, 0.3])
def test_dial(rho):
    """The teacher's strength is multiplied by the optimizee's setting."""
    p = objective(mlp(), DIAL_RULE, SAM(2.0), dial=(0.01, 0.3), meta_loss="loss")
    start, batch = start_of(p, rho=rho), p.batch(SEED)
    loss, field = _loss_and_gradient(p, _perturbed(p, start, 2.0 * rho), "train")
    penalty = p.evaluate_penalty(start, batch).meta_loss
    np.testing.assert_allclose(penalty, loss, rtol=1e-6)
    evaluation = p.evaluate_field(start, batch)
    np.testing.assert_allclose(evaluation.v, field, atol=1e-6)
    if rho == 0.0:
        np.testing.assert_array_equal(evaluation.v, evaluation.g)
        np.testing.assert_array_equal(penalty, evaluation.loss)


def test_without_a_dial_the_teacher_has_its_own_strength():
    """Whatever the run's `rho`."""
    p = objective(mlp(), DIAL_RULE, SAM(0.2), meta_loss="loss")
    start = start_of(p, rho=0.01)
    loss, _ = _loss_and_gradient(p, _perturbed(p, start, 0.2), "train")
    penalty = p.evaluate_penalty(start, p.batch(SEED)).meta_loss
    np.testing.assert_allclose(penalty, loss, rtol=1e-6)


def test_score():
    """The loss in evaluation; with a dial the loss where the teacher looks."""
    task = fix_batches(mlp(lambda: keras.layers.Dropout(0.5)))
    x, y = task.batch("validation", SEED)
    own = objective(task, DIAL_RULE, SAM(2.0))
    dial = objective(task, DIAL_RULE, SAM(2.0), dial=(0.01, 0.3))
    start = start_of(own, rho=0.1)

    def loss_fn(params):
        return task.evaluate_loss(params, start.model_state, x, y, training=False)[0]

    params = own.params(start)
    loss, g = value_and_gradients(loss_fn, params)
    np.testing.assert_allclose(own.score(start, x, y), loss, rtol=1e-6)
    norm = tf.linalg.global_norm(g)
    there = [w + 0.2 * x / norm for w, x in zip(params, g, strict=True)]
    np.testing.assert_allclose(dial.score(start, x, y), loss_fn(there), rtol=1e-6)
    assert float(loss_fn(there)) > float(loss) + 0.01


def test_run():
    """Steps, passes over the 1000 examples in batches of 32, and the dial."""
    run = start_of(objective(), steps=500, rho=0.25).run
    assert [float(value) for value in run] == [500.0, 500 * 32 / 1000, 0.25]
    assert {value.dtype for value in run} == {tf.float32}


CONVOLUTION = mlp(
    lambda: keras.layers.Reshape((8, 8, 1)),
    lambda: keras.layers.Conv2D(2, 3),
    lambda: keras.layers.Flatten(),
)
STATEFUL = mlp(lambda: keras.layers.BatchNormalization())


@pytest.mark.parametrize(
    ("task", "rule", "suits_xla", "stacks"),
    [
        (mlp(), RULE, True, True),
        (mlp(), DIAL_RULE, True, True),
        (mlp(), PerParameterMLP(), True, True),
        (mlp(), CoordinatewiseLSTM((10, 10), "normalized", "adam"), False, True),
        (mlp(), ScheduledLSTM((20, 20)), False, True),
        (CONVOLUTION, RULE, False, False),
        (CONVOLUTION, CoordinatewiseLSTM((20, 20)), False, False),
        (STATEFUL, RULE, True, False),
    ],
    ids=[
        "dense",
        "scheduled",
        "mlp",
        "lstm",
        "scheduled lstm",
        "conv",
        "both",
        "stateful",
    ],
)
def test_what_is_compiled_and_what_is_stacked(task, rule, suits_xla, stacks):
    """XLA: dense networks and small rules. Stacked: dense ones without state."""
    p = objective(task, rule)
    assert (p.suits_xla, p.stacks) == (suits_xla, stacks)


def test_the_field_is_taken_on_the_meta_split():
    """SAM's field is that of the validation batch, the rule's gradient is not."""
    p = objective(
        mlp(), regularizer=SAM(0.1), meta_loss="loss", meta_split="validation"
    )
    start = start_of(p)
    perturbed = _perturbed(p, start, 0.1, "validation")
    _, field = _loss_and_gradient(p, perturbed, "validation")
    evaluation = p.evaluate_field(start, p.batch(SEED))
    np.testing.assert_allclose(evaluation.v, field, atol=1e-6)


def _unroll(p, steps, start=None):
    start = start_of(p) if start is None else start
    return unroll(p, theta_of(RULE), start, SEED, steps)


@pytest.mark.parametrize(
    "regularizer", [None, SAM(), GAM()], ids=["none", "sam", "gam"]
)
def test_batch_normalization_moves_once_a_step(regularizer):
    """However many passes the teacher makes: m <- 0.9 m + 0.1 mean, four times."""
    task = fix_batches(mlp(lambda: keras.layers.BatchNormalization(momentum=0.9)))
    optimizee, _ = _unroll(objective(task, regularizer=regularizer), steps=4)
    x = task.train[0][: task.batch_size].reshape(-1, 64)
    mean, variance = optimizee.model_state
    np.testing.assert_allclose(mean, (1 - 0.9**4) * x.mean(axis=0), atol=1e-6)
    expected = 0.9**4 + (1 - 0.9**4) * x.var(axis=0)
    np.testing.assert_allclose(variance, expected, atol=1e-6)


def test_dropout():
    """Masks change from step to step; all passes of a teacher see the same one."""
    task = fix_batches(mlp(lambda: keras.layers.Dropout(0.5)))
    p = objective(task, regularizer=SAM(rho=0.0), meta_loss="loss")
    start, batch = start_of(p), p.batch(SEED)
    first = p.evaluate_field(start, batch)
    np.testing.assert_array_equal(first.v, first.g)
    second = p.evaluate_field(start._replace(model_state=first.model_state), batch)
    assert float(first.loss) != float(second.loss)
    _, recorded = _unroll(p, steps=3)
    assert np.all(np.isfinite(recorded["loss"]))


def test_two_unrolls_are_one_of_twice_the_length():
    """Weights, memory and step go on where the first unroll ended."""
    p = objective()
    once, _ = _unroll(p, steps=6)
    half, _ = _unroll(p, steps=3)
    twice, _ = _unroll(p, steps=3, start=half)
    for a, b in zip(tf.nest.flatten(once), tf.nest.flatten(twice), strict=True):
        np.testing.assert_array_equal(a, b)
    assert np.any(twice.w != half.w)


def test_half_precision_parameters():
    """The optimizee's own copy is float32; the model gets its own type."""
    task = mlp(lambda: keras.layers.Dense(4, "tanh", dtype="float16"))
    p = objective(task)
    start = start_of(p)
    assert start.w.dtype == tf.float32
    assert [w.dtype.name for w in p.params(start)][:2] == ["float16", "float16"]
    optimizee, recorded = _unroll(p, steps=2)
    assert np.all(np.isfinite(optimizee.w))
    assert np.all(np.isfinite(recorded["loss"]))
