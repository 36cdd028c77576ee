"""TensorFlow adds up in the order that is written, in meta-training alone."""

import keras
import pytest
import tensorflow as tf

from lrlearn import MetaTrainer
from lrlearn.meta.ordered_sums import ordered_sums
from tests.meta.problems import FAST, RULE, mlp


def _is_on():
    return tf.config.optimizer.get_experimental_options()["arithmetic_optimization"]


@pytest.fixture(autouse=True)
def _on():
    before = _is_on()
    tf.config.optimizer.set_experimental_options({"arithmetic_optimization": True})
    yield
    tf.config.optimizer.set_experimental_options({"arithmetic_optimization": before})


def test_in_meta_training():
    """Without a word from the user, whose option is as before."""
    seen = []
    note = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: seen.append(_is_on())
    )
    trainer = MetaTrainer(RULE, [mlp()], **{**FAST, "validation_every": None})
    trainer.fit(1, callbacks=note, verbose=0)
    assert seen == [False] and _is_on()


def test_after_an_error():
    with pytest.raises(RuntimeError), ordered_sums():
        raise RuntimeError
    assert _is_on()
