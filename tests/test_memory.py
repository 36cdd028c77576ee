"""What is no longer used leaves no TensorFlow graph behind."""

import gc

import keras
import numpy as np
import pytest
import tensorflow as tf

from lrlearn import LearnedOptimizer, SharpnessAwareModel
from lrlearn.evaluation import Training
from lrlearn.meta import MetaTrainer
from tests.meta.problems import FAST, RULE, mlp


def _fit(model_class, **settings):
    inputs = keras.Input((5,))
    model = model_class(inputs, keras.layers.Dense(1)(inputs))
    optimizer = LearnedOptimizer.from_preset("lo_none")
    model.compile(optimizer, "mse", jit_compile=False, **settings)
    model.fit(np.ones((8, 5)), np.ones((8, 1)), verbose=0)


def _train(optimizer):
    Training(mlp(), optimizer, count=2).run(steps=2, seeds=[0, 1])


def _meta_train():
    MetaTrainer(RULE, [mlp()], **FAST).fit(1, verbose=0)


@pytest.mark.parametrize(
    "use",
    [
        lambda: _fit(keras.Model),
        lambda: _fit(SharpnessAwareModel, regularizer="sam"),
        lambda: _train("adam"),
        lambda: _train(LearnedOptimizer.from_preset("lo_sam")),
        _meta_train,
    ],
    ids=["fit", "sharpness_aware", "training", "training_learned", "meta_training"],
)
def test_no_graph_is_left(use):
    """As with Keras's optimizers in `fit`, which keep the graph of each model."""
    use()
    before = _graphs()
    use()
    assert _graphs() == before


def _graphs():
    gc.collect()
    return sum(issubclass(type(each), tf.Graph) for each in gc.get_objects())
