"""One ascent of a function on a ball around 0, from one start."""

import itertools
import math
from typing import Any, NamedTuple

import tensorflow as tf

from lrlearn.evaluation.ball_model import new_direction, predict_gradient
from lrlearn.evaluation.flat import increase, is_finite, project
from lrlearn.vectors import unit

_MOMENTUM = 0.75
_PAIRS_ON_SPHERE, _PAIRS_AROUND_GRADIENT = 16, 4
_FEW_PARAMETERS, _PAIRS_ON_SMALL_SPHERE = 100, 128
_PROBES, _MEMORY = 8, 16
_LEAST_RISES = 0.75


class Point(NamedTuple):
    """A perturbation `e`, the rise `f(e) - f(0)`, and the gradient at `e`."""

    e: Any
    rise: Any
    gradient: Any


class Ascent:
    """Maximises a function of a vector over the ball of `radius` around 0.

    `lrlearn.evaluation.PGA` describes the method.

    Args:
        function: A `flat.Function`, or an object with the same methods.
        radius: Scalar tensor.

    Attributes:
        centre: The `Point` at 0; its gradient is zero if it is not finite.
    """

    def __init__(self, function, radius):
        self._function, self._radius = function, radius
        self._f0, gradient = function.value_and_gradient(function.zero)
        finite = tf.reduce_all(tf.math.is_finite(gradient))
        gradient = tf.where(finite, gradient, tf.zeros_like(gradient))
        self.centre = Point(function.zero, tf.zeros_like(self._f0), gradient)

    def run(self, seed, steps):
        """Returns the best `Point` found from one random start.

        Args:
            seed: Stateless seed, an int32 tensor `[2]`.
            steps: Number of iterations.
        """
        towards_gradient = self._evaluate(self._radius * unit(self.centre.gradient))
        start = self._evaluate(self._best_start(seed))
        nothing = tf.zeros([_MEMORY, start.e.shape[0]], start.e.dtype)
        seen = self._remember((nothing, nothing), towards_gradient)
        seen = self._remember(seen, start)
        seen = self._probe(seen)
        point, *_ = tf.while_loop(
            lambda *_: True,
            self._step,
            (start, start.e, 2 * self._radius, seen),
            maximum_iterations=steps,
            parallel_iterations=1,
        )
        return _best(_best(point, towards_gradient), self.centre)

    def _probe(self, seen):
        """Adds points in the Krylov directions of the last one, to learn curvature."""
        epsilon = self._function.epsilon
        return tf.while_loop(
            lambda *_: True,
            lambda *seen: self._remember(
                seen, self._evaluate(self._radius * new_direction(*seen, epsilon))
            ),
            seen,
            maximum_iterations=_PROBES,
            parallel_iterations=1,
        )

    def _step(self, point, previous, step_size, seen):
        climbed = self._evaluate(self._climb(point, previous, step_size))
        seen = self._remember(seen, climbed)
        epsilon = self._function.epsilon
        predicted = predict_gradient(*seen, self.centre.gradient, epsilon)
        predicted = self._evaluate(self._radius * unit(predicted))
        seen = self._remember(seen, predicted)
        new = _best(climbed, predicted)
        improved = new.rise > point.rise
        step_size = tf.where(improved, step_size, step_size / 2)
        return _best(point, new), point.e, step_size, seen

    def _climb(self, point, previous, step_size, alpha=_MOMENTUM):
        z = project(point.e + step_size * unit(point.gradient), self._radius)
        move = alpha * (z - point.e) + (1 - alpha) * (point.e - previous)
        return project(point.e + move, self._radius)

    def _best_start(self, seed):
        """Returns the best of the random points; see `PGA`."""
        uphill = unit(self.centre.gradient)
        few = uphill.shape[0] <= _FEW_PARAMETERS
        on_sphere = _PAIRS_ON_SMALL_SPHERE if few else _PAIRS_ON_SPHERE
        pairs = on_sphere + _PAIRS_AROUND_GRADIENT

        def start(i):
            # Drawn one by one: all at once would take `pairs` copies of the parameters.
            pair_seed = tf.stack([seed[0], seed[1] * pairs + i // 2])
            shape, dtype = tf.shape(uphill), uphill.dtype
            v = unit(tf.random.stateless_normal(shape, pair_seed, dtype=dtype))
            v = tf.where(i % 2 == 0, v, -v)
            return self._radius * tf.where(i < 2 * on_sphere, v, unit(v + uphill))

        values = tf.map_fn(
            lambda i: self._function.value(start(i)),
            tf.range(2 * pairs),
            fn_output_signature=self._f0.dtype,
            parallel_iterations=1,
        )
        values = tf.where(tf.math.is_finite(values), values, values.dtype.min)
        return start(tf.argmax(values, output_type=tf.int32))

    def _evaluate(self, e):
        """Returns the `Point` at `e`; one that is not finite is never the best."""
        f, gradient = self._function.value_and_gradient(e)
        finite = is_finite(f, gradient)
        epsilon = self._function.epsilon
        rise = increase(self._f0, self.centre.gradient, f, gradient, e, epsilon)
        return Point(
            e,
            tf.where(finite, rise, rise.dtype.min),
            tf.where(finite, gradient, self.centre.gradient),
        )

    def _remember(self, seen, point):
        """Returns `(directions, changes)` with those of `point` after the others."""
        directions, changes = seen
        direction = tf.math.divide_no_nan(point.e, self._radius)
        change = point.gradient - self.centre.gradient
        return (
            tf.concat([directions[1:], direction[None]], axis=0),
            tf.concat([changes[1:], change[None]], axis=0),
        )


class AutoPGD(Ascent):
    """Plain Auto-PGD; `lrlearn.evaluation.PGA` describes it."""

    def run(self, seed, steps):
        """See `Ascent`."""
        e = self.centre.e
        v = unit(tf.random.stateless_normal(tf.shape(e), seed, dtype=e.dtype))
        start = self._evaluate(self._radius * v)
        eta = 2 * self._radius
        lengths = tf.constant(_phases(steps), eta.dtype)

        def step(k, state):
            return k + 1, self._iterate(state, tf.equal(k, 0), lengths[k])

        state = _AutoPGDState(
            start, start.e, start, eta, tf.zeros_like(eta), eta, start.rise
        )
        _, state = tf.while_loop(
            lambda *_: True,
            step,
            (tf.constant(0), state),
            maximum_iterations=steps,
            parallel_iterations=1,
        )
        return _best(state.best, self.centre)

    def _iterate(self, state, is_first, length):
        """Returns the state after an iteration.

        Without momentum if it `is_first`; `length` is that of the phase that ends with
        it, 0 if none does.
        """
        point, previous, best, eta, rises, last_eta, last_rise = state
        alpha = tf.cast(tf.where(is_first, 1.0, _MOMENTUM), eta.dtype)
        new = self._evaluate(self._climb(point, previous, eta, alpha))
        rises += tf.cast(new.rise > point.rise, rises.dtype)
        best = _best(best, new)
        too_few = rises < _LEAST_RISES * length
        stuck = tf.equal(eta, last_eta) & tf.equal(best.rise, last_rise)
        ends = length > 0
        halve = ends & (too_few | stuck)
        return _AutoPGDState(
            _select(halve, best, new),
            point.e,
            best,
            tf.where(halve, eta / 2, eta),
            tf.where(ends, tf.zeros_like(rises), rises),
            tf.where(ends, eta, last_eta),
            tf.where(ends, best.rise, last_rise),
        )


class _AutoPGDState(NamedTuple):
    """The state of Auto-PGD; `last_*` are from the end of the last phase."""

    point: Any
    previous: Any
    best: Any
    eta: Any
    rises: Any
    last_eta: Any
    last_rise: Any


def _phases(steps):
    """Returns for each iteration the length of the phase that ends with it, or 0."""
    p, q, ends = 0.0, 0.22, [0]
    while ends[-1] < steps:
        ends.append(math.ceil(round(q * steps, 9)))  # 0.7 * 20 is above 14
        p, q = q, q + max(q - p - 0.03, 0.06)
    lengths = [0] * (ends[-1] + 1)
    for begin, end in itertools.pairwise(ends):
        lengths[end] = max(lengths[end], end - begin)
    return lengths[1 : steps + 1]


def _best(point, other):
    return _select(other.rise > point.rise, other, point)


def _select(condition, point, other):
    pairs = zip(point, other, strict=True)
    return Point(*(tf.where(condition, a, b) for a, b in pairs))
