"""What is measured of the networks of a run: losses, sharpness, curvature."""

import functools

import numpy as np
import tensorflow as tf

from lrlearn.evaluation import Hessian
from lrlearn.evaluation.landscapes import landscape, random_directions
from lrlearn.evaluation.stacked_sharpness import StackedSharpness
from lrlearn.stacking import scores

_CHUNK = 2000  # examples at once


class Measurement:
    """Measures K networks of one task: stacked parameters and state, `[K, ...]` each.

    Graphs are compiled once for a task and a K. `measures` are those of the task, with
    values in place of patterns.
    """

    def __init__(self, task, measures):
        self._task, self._measures = task, measures
        self._sharpness_loss = self._loss_on(measures.sharpness_examples)
        self._eigenvalue_loss = self._loss_on(measures.eigenvalue_examples)
        self._sharpness = StackedSharpness(
            self._sharpness_loss, steps=measures.ascent_steps
        )
        self._score = tf.function(functools.partial(scores, task), autograph=False)
        self._eigenvalue = tf.function(self._top_eigenvalue, autograph=False)

    def record(self, params, state, sharpness=False):
        """Returns norms, and losses and accuracies on some examples, K dicts."""
        squares = sum(
            np.sum(np.square(w, dtype="float64"), axis=tuple(range(1, w.ndim)))
            for w in map(np.asarray, params)
        )
        columns = {"parameter_norm": np.sqrt(squares)}
        for split in ("train", "validation", "test"):
            columns |= self._scores(split, params, state, self._measures.examples)
        found = _by_network(columns)
        if sharpness:
            balls = self._sharpness(params, state)
            found = [f | {"sharpness": b} for f, b in zip(found, balls, strict=True)]
        return found

    def scores(self, splits, params, state):
        """Returns losses and accuracies on all examples of some splits, K dicts."""
        columns = {}
        for split in splits:
            columns |= self._scores(split, params, state)
        return _by_network(columns)

    def end(self, params, state):
        """Returns what is measured at the end only, K dicts.

        Scores on all examples, the top eigenvalue of the Hessian and, of the first
        network, the loss landscape.
        """
        ends = self.scores(["validation", "test"], params, state)
        for k, end in enumerate(ends):
            value, converged = self._eigenvalue(*_network(k, params, state))
            end["top_eigenvalue"] = float(value)
            end["top_eigenvalue_converged"] = bool(converged)
        if self._measures.landscape_points:
            ends[0]["landscape"] = self._landscape(*_network(0, params, state))
        return ends

    def _landscape(self, params, state):
        """Returns the columns of `lrlearn.evaluation.landscape` as lists.

        The directions are drawn alike for all networks.
        """
        table = landscape(
            lambda w: self._sharpness_loss(w, state),
            params,
            random_directions(params),
            points=self._measures.landscape_points,
        )
        return table.to_dict("list")

    def _loss_on(self, count):
        x, y = (tf.constant(array[:count]) for array in self._task.train)
        return lambda params, state: self._task.evaluate_loss(params, state, x, y)[0]

    def _top_eigenvalue(self, params, state):
        hessian = Hessian(lambda w: self._eigenvalue_loss(w, state), params)
        result = hessian.top_eigenvalue(
            self._measures.eigenvalue_tolerance, self._measures.eigenvalue_iterations
        )
        return result.value, result.converged

    def _scores(self, split, params, state, most=None):
        """Returns loss and accuracy, arrays `[K]`, on the first `most` examples."""
        x, y = (array[:most] for array in getattr(self._task, split))
        found, weights = [], []
        for begin in range(0, len(x), _CHUNK):
            chunk = [tf.constant(a[begin : begin + _CHUNK]) for a in (x, y)]
            found.append([s.numpy() for s in self._score(params, state, *chunk)])
            weights.append(len(chunk[0]))
        means = np.average(np.array(found, "float64"), axis=0, weights=weights)
        return dict(zip((f"{split}_loss", f"{split}_accuracy"), means, strict=True))


def _network(k, params, state):
    return [w[k] for w in params], [v[k] for v in state]


def _by_network(columns):
    """Returns a dict of numbers for each network, from a dict of arrays `[K]`."""
    return [
        dict(zip(columns, map(float, values), strict=True))
        for values in zip(*columns.values(), strict=True)
    ]
