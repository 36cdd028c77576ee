"""Tasks of regression, and the share of variance that they explain."""

import numpy as np
import pytest
import tensorflow as tf
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score

import lrlearn
from lrlearn.tasks import metrics


def test_a_table_is_standardized_by_its_training_part():
    task = lrlearn.tasks.load("diabetes/mlp")
    sizes = [len(x) for x, _ in (task.train, task.validation, task.test)]
    assert sizes == [262, 80, 100]
    for array in task.train:
        np.testing.assert_allclose(array.mean(axis=0), 0, atol=1e-5)
        np.testing.assert_allclose(array.std(axis=0), 1, rtol=1e-5)
    # Rows belong to their targets: a linear fit predicts data that it has not seen.
    assert LinearRegression().fit(*task.train).score(*task.test) > 0.3


def test_an_autoencoder_has_its_inputs_as_targets():
    task = lrlearn.tasks.load("digits/autoencoder")
    for x, y in (task.train, task.validation, task.test):
        np.testing.assert_allclose(x.reshape(len(x), 64) / 16, y)
    assert min(layer.units for layer in task.model.layers[2:]) == 8


def test_r2_is_scikit_learns():
    """Of one output; of several, with the variances of all added."""
    rng = np.random.default_rng(0)
    for outputs in (1, 3):
        y, f = rng.normal(size=(2, 40, outputs)).astype("float32")
        received = float(metrics.r2(y, y + 0.5 * f))
        weighted = r2_score(y, y + 0.5 * f, multioutput="variance_weighted")
        assert received == pytest.approx(weighted, rel=1e-4)


def test_accuracy_needs_classes():
    labels = tf.constant([1, 0, 1])
    logits = tf.constant([[0.0, 1.0], [0.0, 1.0], [0.0, 1.0]])
    found = np.mean(metrics.accuracy(labels, logits))
    assert found == pytest.approx(2 / 3)
    for y, f in ((labels, logits[:, :1]), (tf.cast(labels, "float32"), logits)):
        assert np.isnan(metrics.accuracy(y, f)).all()
