"""The teacher and the meta-loss."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from lrlearn.meta.unroll import unroll
from lrlearn.regularizers import GAM, SAM, value_and_gradients
from tests.meta.problems import RULE, fix_batches, mlp, objective, start_of, theta_of

SEED = tf.constant([0, 1])


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


def test_the_field_is_taken_on_the_meta_split():
    """SAM's field is that of the validation batch, the rule's gradient is not."""
    p = objective(
        mlp(), regularizer=SAM(0.1), meta_loss="loss", meta_split="validation"
    )
    start = start_of(p)
    _, g = _loss_and_gradient(p, start, "validation")
    perturbed = start._replace(w=start.w + 0.1 * g / np.linalg.norm(g))
    _, field = _loss_and_gradient(p, perturbed, "validation")
    evaluation = p.evaluate_field(start, p.batch(SEED))
    np.testing.assert_allclose(evaluation.v, field, atol=1e-6)


def _unroll(p, steps, start=None):
    start = start_of(p) if start is None else start
    return unroll(p, theta_of(RULE), start, SEED, steps, p.evaluate_field)


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
