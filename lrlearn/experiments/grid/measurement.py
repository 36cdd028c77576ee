"""What is measured of the networks of a run: losses, sharpness, curvature."""

import keras
import numpy as np
import tensorflow as tf

from lrlearn.evaluation.hessian import top_eigenvalue
from lrlearn.evaluation.stacked_sharpness import StackedSharpness
from lrlearn.evaluation.stacking import is_sequential, map_stacked

_CHUNK = 2000


class Measurement:
    """Measures K networks of one task, given by stacked parameters and states.

    Graphs are compiled once for a task and a K.

    Args:
        task: A `Task`.
        measures: The `Measures` of the task, values in place of patterns.
    """

    def __init__(self, task, measures):
        self._task, self._measures = task, measures
        x, y = task.train
        few, fewer = measures.sharpness_examples, measures.eigenvalue_examples
        self._sharpness = StackedSharpness(
            self._loss_on(x[:few], y[:few]), steps=measures.ascent_steps
        )
        self._loss = self._loss_on(x[:fewer], y[:fewer])
        self._score = tf.function(self._score_chunk, autograph=False)
        self._eigenvalue = tf.function(self._top_eigenvalue, autograph=False)

    def losses(self, params, state, last=False):
        """Returns losses, accuracies and norms, one dict a network.

        Args:
            params: List of tensors `[K, ...]`.
            state: List of tensors `[K, ...]`.
            last: Whether all validation and test data are used. Defaults to `False`.
        """
        columns = {}
        for split in ("train", "validation", "test"):
            everything = last and split != "train"
            loss, accuracy = self._mean_scores(split, params, state, everything)
            columns |= {f"{split}_loss": loss, f"{split}_accuracy": accuracy}
        squares = sum(
            np.sum(np.square(w, dtype="float64"), axis=tuple(range(1, w.ndim)))
            for w in map(np.asarray, params)
        )
        columns["parameter_norm"] = np.sqrt(squares)
        return [
            {name: float(values[k]) for name, values in columns.items()}
            for k in range(len(squares))
        ]

    def validation(self, params, state):
        """Returns losses and accuracies `[2, K]` on all validation data."""
        return self._mean_scores("validation", params, state, everything=True)

    def sharpness(self, params, state):
        """Returns lists of dicts, one list a network; see `StackedSharpness`."""
        return self._sharpness(params, state)

    def curvature(self, params, state):
        """Returns the top eigenvalue of the Hessian, one dict a network."""
        results = []
        for k in range(params[0].shape[0]):
            value, converged = self._eigenvalue(
                [w[k] for w in params], [v[k] for v in state]
            )
            results.append(
                {
                    "top_eigenvalue": float(value),
                    "top_eigenvalue_converged": bool(converged),
                }
            )
        return results

    def _loss_on(self, x, y):
        x, y = tf.constant(x), tf.constant(y)

        def loss(params, state):
            return self._task.evaluate_loss(params, state, x, y)[0]

        return loss

    def _top_eigenvalue(self, params, state):
        result = top_eigenvalue(
            lambda w: self._loss(w, state),
            params,
            self._measures.eigenvalue_tolerance,
            self._measures.eigenvalue_iterations,
        )
        return result.value, result.converged

    def _mean_scores(self, split, params, state, everything):
        x, y = getattr(self._task, split)
        count = len(x) if everything else min(len(x), self._measures.examples)
        scores, weights = [], []
        for begin in range(0, count, _CHUNK):
            end = min(begin + _CHUNK, count)
            chunk = (tf.constant(a[begin:end]) for a in (x, y))
            scores.append([s.numpy() for s in self._score(params, state, *chunk)])
            weights.append(end - begin)
        return np.average(np.array(scores, "float64"), axis=0, weights=weights)

    def _score_chunk(self, params, state, x, y):
        def of_one(elements):
            loss, outputs, _ = self._task.evaluate_loss(*elements, x, y)
            return loss, outputs

        loss, outputs = map_stacked(of_one, (params, state), is_sequential(params))
        labels = tf.broadcast_to(y, tf.shape(outputs)[:-1])
        right = keras.metrics.sparse_categorical_accuracy(labels, outputs)
        return loss, tf.reduce_mean(right, axis=1)
