"""Windows of text: nothing is seen twice, and no model sees the future."""

import numpy as np
import pytest
import tensorflow as tf

import lrlearn
from lrlearn.tasks import topics

NAMES = ["topics/gru", "topics/transformer"]


def test_encoding():
    text = "One line,\nand another: ~"
    numbers = topics.encode(text)
    assert "".join(topics.CHARACTERS[i] for i in numbers) == text
    assert topics.encode("é\t").tolist() == 2 * topics.encode("?").tolist()


def test_windows_follow_each_other():
    """Targets are the characters that follow; blocks do not overlap."""
    splits = topics.splits(length=50)
    whole = topics.encode(topics.text())
    start = 0
    for x, y in (splits[name] for name in ("train", "validation", "test")):
        flat = x.ravel()
        np.testing.assert_array_equal(flat[1:], y.ravel()[:-1])
        begin = next(
            i for i in range(start, start + 60) if (whole[i : i + 50] == x[0]).all()
        )
        np.testing.assert_array_equal(whole[begin : begin + flat.size], flat)
        start = begin + flat.size
    assert start > len(whole) - 60
    sizes = [len(x) for x, _ in splits.values()]
    np.testing.assert_allclose(sizes / np.sum(sizes), [0.8, 0.1, 0.1], atol=0.01)


@pytest.mark.parametrize("name", NAMES)
def test_no_character_sees_a_later_one(name):
    """Outputs before a changed character stay, those from it on do not."""
    task = lrlearn.tasks.load(name)
    params, state = task.init(0)
    x, y = (a[:2] for a in task.train)
    changed = x.copy()
    changed[:, 40] = (changed[:, 40] + 1) % len(topics.CHARACTERS)
    loss, one, _ = task.evaluate_loss(params, state, x, y)
    _, other, _ = task.evaluate_loss(params, state, changed, y)
    np.testing.assert_allclose(one[:, :40], other[:, :40], atol=1e-6)
    assert np.all(np.abs(one[:, 40] - other[:, 40]).max(axis=-1) > 1e-4)
    assert np.abs(one[:, 50] - other[:, 50]).max() > 1e-6
    assert float(loss) == pytest.approx(np.log(len(topics.CHARACTERS)), abs=0.6)


def test_positions_are_trained():
    """Each of its own: the order of equal characters matters."""
    task = lrlearn.tasks.load("topics/transformer")
    params, state = task.init(0)
    x = np.full((1, 64), 5, "int32")
    with tf.GradientTape() as tape:
        params = [tf.constant(w) for w in params]
        tape.watch(params)
        loss, outputs, _ = task.evaluate_loss(params, state, x, x)
    assert np.abs(outputs[0, 0] - outputs[0, 1]).max() > 1e-4
    (vectors,) = [i for i, w in enumerate(params) if w.shape == (64, 64) and i < 3][:1]
    gradient = tape.gradient(loss, params[vectors])
    assert np.all(np.abs(gradient).max(axis=1) > 0)
