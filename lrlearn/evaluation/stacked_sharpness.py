"""Sharpness of many networks at once, by a cheap search."""

import numpy as np
import tensorflow as tf

from lrlearn import stacking
from lrlearn.checks import check_count
from lrlearn.evaluation import flat
from lrlearn.evaluation.sharpness_evaluator import (
    COLUMNS,
    FIXED_RADII,
    grow_with_radius,
)
from lrlearn.evaluation.validation import check_radii, warn_if_nan
from lrlearn.vectors import flatten, norm, unit

RADII = {
    "fixed": FIXED_RADII,
    "relative": (0.005, 0.02),
    "adaptive": (0.1,),
}


class StackedSharpness:
    r"""Measures sharpness along training, of `K` networks and several balls at once.

    The columns are those of `SharpnessEvaluator`; the search is a cheaper one, the
    generalized power method: with $g_k$ the gradient at $e_k$ and $e_0 = 0$,
    $$e_{k+1} = r\,g_k/\|g_k\|.$$
    On convex losses the loss never falls on the way. The first point is SAM's
    perturbation, which gives the surrogate gap. The maxima are the largest values at
    these points and the centre, so they are lower bounds. The search looks for a high
    loss, so the bound on the gradient norm is looser. If the gradient at the centre is
    zero, the search stays there.

    Networks with dense layers are computed all at once, in all balls: their products
    with the shared data become one wide product. Convnets are computed one after
    another. The search of `SharpnessEvaluator` cannot be stacked like this, since
    TensorFlow does not vectorize its loops.

    The maxima skip points at which the loss or the gradient is not finite; if the
    gradient is not, the search ends. If the parameters of a network, its loss or its
    gradient there are not finite, all its columns are NaN, and a warning is given.

    Args:
        loss_fn: Function of `(params, state)`, the lists of tensors of one network,
            that returns a scalar.
        fixed: L2 radii over all parameters jointly. Defaults to
            `(0.001, 0.005, 0.05, 0.1)`.
        relative: L2 radii as multiples of the parameters' norm. Defaults to
            `(0.005, 0.02)`.
        adaptive: Radii of relative changes, see `SharpnessEvaluator`. Defaults to
            `(0.1,)`.
        steps: Points besides the centre, one gradient each. Defaults to `5`.

    Raises:
        ValueError: If there is no radius, one is negative or not finite, or `steps` is
            not an integer >= 1.

    Reference:
        [Journée et al., 2010](https://arxiv.org/abs/0811.4724), section 2.

    Example:
        >>> import tensorflow as tf
        >>> from lrlearn.evaluation.stacked_sharpness import StackedSharpness
        >>> measure = StackedSharpness(
        ...     lambda w, state: tf.reduce_sum(w[0] ** 2), [1.0], [], []
        ... )
        >>> stacked = tf.constant([[1.0, 0.0], [3.0, 4.0]])
        >>> [round(balls[0]["increase"], 3) for balls in measure([stacked], [])]
        [3.0, 11.0]
    """

    def __init__(
        self,
        loss_fn,
        fixed=RADII["fixed"],
        relative=RADII["relative"],
        adaptive=RADII["adaptive"],
        steps=5,
    ):
        self._loss_fn = loss_fn
        self._radii = {"fixed": fixed, "relative": relative, "adaptive": adaptive}
        for name, radii in self._radii.items():
            check_radii(name, radii)
        self._balls = [(ball, r) for ball, radii in self._radii.items() for r in radii]
        if not self._balls:
            raise ValueError(
                "There must be at least one radius. Received: "
                f"{fixed=}, {relative=}, {adaptive=}"
            )
        self._steps = check_count("steps", steps)
        self._rows = tf.function(self._measure, autograph=False)

    def __call__(self, params, state):
        """Returns the sharpness around the parameters of each network.

        Args:
            params: List of stacked parameters, arrays or tensors `[K, ...]`.
            state: List of the stacked other variables `[K, ...]`, such as statistics of
                batch normalization; may be empty.

        Returns:
            A list of `K` lists with one dict for each ball. Its keys are `"ball"`
            (`"fixed"`, `"relative"` or `"adaptive"`), `"radius"` (as given) and the
            columns of `SharpnessEvaluator`.

        Raises:
            ValueError: If `params` is empty.
        """
        state = [tf.convert_to_tensor(s) for s in state]
        rows = self._rows(flat.as_tensors(params), state).numpy()
        warn_if_nan(rows[..., COLUMNS.index("max_loss")])
        return [self._records(network) for network in rows]

    def _measure(self, params, state):
        """Returns the columns, `[K, balls, columns]`."""
        sequential = stacking.is_sequential([w.shape[1:] for w in params])
        f0, balls, centre, defects = stacking.map_stacked(
            self._start, (params, state), sequential
        )

        def climb(element):
            params, state, f0, balls = element
            function = self._function(params, state)
            return stacking.map_stacked(
                lambda ball: _climb(function, f0, *ball), balls, sequential
            )

        def step(k, g, maxima, gap):
            elements = (params, state, f0, (*balls, g))
            g, point = stacking.map_stacked(climb, elements, sequential)
            finite = tf.reduce_all(tf.math.is_finite(point), axis=-1, keepdims=True)
            maxima = tf.where(finite, tf.maximum(maxima, point), maxima)
            gap = tf.where(k == 0, point[..., 1:2], gap)
            return k + 1, g, maxima, gap

        # Outside of the map, since `vectorized_map` fails on loops.
        *_, maxima, gap = tf.while_loop(
            lambda k, *_: k < self._steps,
            step,
            (0, balls[-1], centre, centre[..., 1:2]),
            parallel_iterations=1,
        )
        rows = tf.concat([centre[..., :1], maxima, gap], axis=-1)
        return rows + defects[:, None, None]

    def _function(self, params, state):
        return flat.Function(self._loss_fn, params, (state,))

    def _start(self, element):
        """Returns the loss, `(radius, scale, gradient)` and point 0 of each ball.

        The balls of one network are `|e/scale| <= radius`. Its defect comes last.
        """
        params, state = element
        function = self._function(params, state)
        f0, g0, defect = function.start()
        w = flatten(params, g0.dtype)
        length, one = norm(w), tf.ones([], w.dtype)
        radii = [r * (length if ball == "relative" else one) for ball, r in self._balls]
        adaptive = tf.constant([[ball == "adaptive"] for ball, _ in self._balls])
        scales = tf.where(adaptive, tf.abs(w), one)
        norms = tf.stack([norm(g) for g in tf.unstack(scales * g0)])
        f = tf.fill([len(self._balls)], f0)
        centre = tf.stack([f, tf.zeros_like(f), norms], axis=1)
        balls = tf.stack(radii), scales, scales * g0
        return f0, balls, centre, defect

    def _records(self, rows):
        table = np.split(rows, np.cumsum([len(r) for r in self._radii.values()])[:-1])
        grown = np.concatenate(
            [
                grow_with_radius(t, r)
                for t, r in zip(table, self._radii.values(), strict=True)
            ]
        )
        return [
            {"ball": ball, "radius": radius}
            | dict(zip(COLUMNS, row.tolist(), strict=True))
            for (ball, radius), row in zip(self._balls, grown, strict=True)
        ]


def _climb(function, f0, radius, scale, g0, g):
    """Returns the gradient at the next point, and its loss, increase and norm."""
    e = radius * unit(g)
    f, g = function.value_and_gradient(scale * e)
    g = scale * g
    rise = flat.increase(f0, g0, f, g, e, function.epsilon)
    return g, tf.stack([f, rise, norm(g)])
