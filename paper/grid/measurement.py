"""What is measured of the networks of a run: losses, sharpness, curvature."""

import functools

import numpy as np
import tensorflow as tf

from lrlearn.evaluation import Hessian
from lrlearn.evaluation.landscapes import landscape, random_directions
from lrlearn.evaluation.stacked_sharpness import StackedSharpness
from lrlearn.evaluation.stacking import scores

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
        self._wide_loss = self._loss_on(x[:few], y[:few])
        self._sharpness = StackedSharpness(self._wide_loss, steps=measures.ascent_steps)
        self._loss = self._loss_on(x[:fewer], y[:fewer])
        self._score = tf.function(functools.partial(scores, task), autograph=False)
        self._eigenvalue = tf.function(self._top_eigenvalue, autograph=False)

    def losses(self, params, state):
        """Returns norms, and losses and accuracies on some examples, by network.

        Args:
            params: List of tensors `[K, ...]`.
            state: List of tensors `[K, ...]`.
        """
        squares = sum(
            np.sum(np.square(w, dtype="float64"), axis=tuple(range(1, w.ndim)))
            for w in map(np.asarray, params)
        )
        columns = {"parameter_norm": np.sqrt(squares)}
        for split in ("train", "validation", "test"):
            columns |= self._scores(split, params, state, self._measures.examples)
        return _by_network(columns)

    def scores(self, splits, params, state):
        """Returns losses and accuracies on all examples of splits, by network.

        Args:
            splits: Names of splits.
            params: List of tensors `[K, ...]`.
            state: List of tensors `[K, ...]`.
        """
        columns = {}
        for split in splits:
            columns |= self._scores(split, params, state)
        return _by_network(columns)

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

    def landscape(self, params, state):
        """Returns the loss on a plane through the first network's parameters.

        The columns of `lrlearn.evaluation.landscape` as lists. The directions are drawn
        alike for all networks, and normalized to each one's filters.
        """
        w, v = ([array[0] for array in arrays] for arrays in (params, state))
        table = landscape(
            lambda w: self._wide_loss(w, v),
            w,
            random_directions(w),
            points=self._measures.landscape_points,
        )
        return table.to_dict("list")

    def _loss_on(self, x, y):
        x, y = tf.constant(x), tf.constant(y)

        def loss(params, state):
            return self._task.evaluate_loss(params, state, x, y)[0]

        return loss

    def _top_eigenvalue(self, params, state):
        hessian = Hessian(lambda w: self._loss(w, state), params)
        result = hessian.top_eigenvalue(
            self._measures.eigenvalue_tolerance, self._measures.eigenvalue_iterations
        )
        return result.value, result.converged

    def _scores(self, split, params, state, most=None):
        x, y = (array[:most] for array in getattr(self._task, split))
        scores, weights = [], []
        for begin in range(0, len(x), _CHUNK):
            chunk = [tf.constant(a[begin : begin + _CHUNK]) for a in (x, y)]
            scores.append([s.numpy() for s in self._score(params, state, *chunk)])
            weights.append(len(chunk[0]))
        means = np.average(np.array(scores, "float64"), axis=0, weights=weights)
        names = f"{split}_loss", f"{split}_accuracy"
        return dict(zip(names, means, strict=True))


def _by_network(columns):
    """One dict of numbers a network, from a dict of arrays `[K]`."""
    return [
        dict(zip(columns, map(float, values), strict=True))
        for values in zip(*columns.values(), strict=True)
    ]
