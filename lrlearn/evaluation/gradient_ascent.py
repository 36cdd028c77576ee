"""Projected gradient ascent: the worst point of a ball around the parameters."""

from typing import Any, NamedTuple

import tensorflow as tf

from lrlearn.checks import check_count
from lrlearn.evaluation import flat
from lrlearn.evaluation.ascent import Ascent, AutoPGD
from lrlearn.evaluation.validation import check_radius, warn_if_nan
from lrlearn.vectors import norm

_OBJECTIVES = ("loss", "gradient_norm")
_METHODS = {"pga": Ascent, "apgd": AutoPGD}


class PGAResult(NamedTuple):
    """The worst point that `pga` found; all but `perturbation` are scalars.

    Attributes:
        value: The objective there.
        loss: The loss there.
        gradient_norm: The L2 norm of the loss gradient there.
        increase: The loss there minus the loss at the parameters, accurate even if it
            is below the rounding errors of the two.
        perturbation: What to add to the parameters, a list shaped like them.
    """

    value: Any
    loss: Any
    gradient_norm: Any
    increase: Any
    perturbation: Any


class PGA:
    r"""Maximises a function over L2 balls, with one compiled graph for all of them.

    Solves $\max_{\|e\|_2 \le r} F(w + e)$, the norm taken over all parameters jointly,
    with $F = L$ or $F = \|\nabla L\|$ (as $\|\nabla L\|^2/2$, which is smooth). Both
    methods take the step of Auto-PGD. With $g_k = \nabla F(w + e_k)$, $P$ the
    projection on the ball, $\eta = 2r$ at first and $\alpha = 0.75$ it is
    $$z = P(e_k + \eta\, g_k/\|g_k\|), \qquad
      e_{k+1} = P(e_k + \alpha (z - e_k) + (1 - \alpha)(e_k - e_{k-1})).$$

    `"apgd"` is plain Auto-PGD, for comparison with the literature. It starts at a
    random point of the sphere, and $\alpha = 1$ in the first of $N$ iterations. After
    iteration $w_j = \lceil p_j N \rceil$, with $p_0 = 0$, $p_1 = 0.22$ and $p_{j+1} =
    p_j + \max(p_j - p_{j-1} - 0.03,\ 0.06)$, it halves $\eta$ and goes on from the best
    point so far if $F$ rose in fewer than $0.75 (w_j - w_{j-1})$ iterations since
    $w_{j-1}$, or if neither the best $F$ nor $\eta$ has changed since.

    `"pga"`, the default, finds more for the same number of gradients. Each iteration
    takes the better of that step and $r\,\hat g/\|\hat g\|$, with $\hat g$ the gradient
    at the best point of the ball, predicted from the last 16 gradients. On a convex
    quadratic this is a Krylov method: 20 iterations come within 1 % of the maximum,
    while gradient steps alone may need hundreds. If neither point is better than the
    best so far, $\eta$ is halved and the momentum is dropped. It starts at the best of
    32 random points of the sphere and 8 between such points and the gradient's
    direction (256 and 8 for at most a hundred parameters, since a random search can
    compete on so small a sphere), after eight gradients in its Krylov directions. The
    first candidate is the perturbation of SAM, so no result is below SAM's.

    Points at which $F$ or its gradient is not finite are skipped. If the parameters,
    the loss or its gradient there are not finite, the result is NaN, and a warning is
    given if it was called eagerly.

    `"pga"` takes 40 values, about `10 + 2 steps` gradients, and the memory of some 32
    copies of the parameters in float32 and again in float64; `"apgd"` takes `2 + steps`
    gradients. The graph is made without AutoGraph: a `loss_fn` that branches on tensors
    in Python needs a `tf.function` of its own.

    With `adaptive`, the ball is one of relative changes: $e = |w| \odot \hat e$ with
    $\|\hat e\|_2 \le r$, so weights that are zero stay zero. Results do not change if
    weights are rescaled and the network computes the same. The search runs in $\hat e$,
    and gradients, in $F$ too, are those by it: $|w| \odot \nabla L$. ASAM in training
    takes $|w| + \eta$ with a small $\eta$, and loses that invariance.

    Args:
        loss_fn: Function of a list of tensors (and of `args`, see `__call__`) that
            returns a scalar.
        objective: `"loss"` or `"gradient_norm"`. Defaults to `"loss"`.
        steps: Iterations, of two gradients each (`"apgd"`: one). Defaults to `20`.
        restarts: Number of starts; the best result is returned. Defaults to `1`.
        adaptive: Whether distances are relative to each weight. Defaults to `False`.
        method: `"pga"` or `"apgd"`. Defaults to `"pga"`.

    Raises:
        ValueError: If an argument is not one of these.

    Reference:
        [Croce and Hein, 2020](https://arxiv.org/abs/2003.01690), algorithm 1, in
        parameter space as in
        [Andriushchenko et al., 2023](https://arxiv.org/abs/2302.07011). Adaptive:
        [Kwon et al., 2021](https://arxiv.org/abs/2102.11600), definition 2.

    Example:
        >>> import tensorflow as tf
        >>> import lrlearn
        >>> search = lrlearn.evaluation.PGA(lambda w: tf.reduce_sum(w[0] ** 2))
        >>> [round(float(search([[0.0, 0.0]], r).value), 4) for r in (1.0, 2.0)]
        [1.0, 4.0]
    """

    def __init__(
        self,
        loss_fn,
        objective="loss",
        steps=20,
        restarts=1,
        adaptive=False,
        method="pga",
    ):
        if objective not in _OBJECTIVES:
            raise ValueError(
                f"`objective` must be one of {_OBJECTIVES}. Received: {objective=}"
            )
        if method not in _METHODS:
            raise ValueError(
                f"`method` must be one of {tuple(_METHODS)}. Received: {method=}"
            )
        self.loss_fn = loss_fn
        self.objective = objective
        self.steps = check_count("steps", steps)
        self.restarts = check_count("restarts", restarts)
        self.adaptive, self.method = adaptive, method
        self._compiled = tf.function(self.search, autograph=False)

    def __call__(self, params, radius, *args, seed=0):
        """Returns the worst point within `radius` of `params`.

        Args:
            params: List of tensors or variables.
            radius: L2 radius, >= 0.
            *args: Tensors, or structures of them, that `loss_fn` gets after the
                parameters, such as data. They may change from call to call; the graph
                is compiled once.
            seed: Integer seed of the starts. Defaults to `0`.

        Returns:
            A `PGAResult`.

        Raises:
            ValueError: If `radius` is negative or not finite, or `params` is empty.
        """
        check_radius(radius)
        params = flat.as_tensors(params)
        radius = tf.cast(radius, flat.dtype(params))
        result = self._compiled(params, args, radius, tf.constant(seed, tf.int32))
        warn_if_nan(result.value)
        return result

    def search(self, params, args, radius, seed):
        """Does what `__call__` does, for tensors, as part of a graph.

        Args:
            params: List of tensors.
            args: Tuple of further arguments of `loss_fn`.
            radius: Scalar tensor of the parameters' type.
            seed: Scalar int32 tensor.

        Returns:
            A `PGAResult`.
        """
        loss = flat.Function(self.loss_fn, params, args, self.adaptive)
        function = loss if self.objective == "loss" else flat.HalfSquaredGradient(loss)
        ascent = _METHODS[self.method](function, radius)
        e, rise = tf.map_fn(
            lambda restart: ascent.run(tf.stack([seed, restart]), self.steps)[:2],
            tf.range(self.restarts),
            fn_output_signature=(radius.dtype, radius.dtype),
            parallel_iterations=1,
        )
        return _result(loss, self.objective, e[tf.argmax(rise)])


def pga(
    loss_fn,
    params,
    radius,
    objective="loss",
    steps=20,
    restarts=1,
    seed=0,
    adaptive=False,
    method="pga",
) -> PGAResult:
    """Returns the worst point within an L2 ball around the parameters.

    Each call compiles; for many radii or parameters make one `PGA`, which also
    describes the search.

    Args:
        loss_fn: Function of a list of tensors that returns a scalar.
        params: List of tensors or variables.
        radius: L2 radius over all parameters jointly, >= 0.
        objective: What is maximised, `"loss"` or `"gradient_norm"`. Defaults to
            `"loss"`.
        steps: Iterations, of two gradients each (`"apgd"`: one). Defaults to `20`.
        restarts: Number of starts; the best result is returned. Defaults to `1`.
        seed: Integer seed of the starts. Defaults to `0`.
        adaptive: Whether distances are relative to each weight, see `PGA`. Defaults to
            `False`.
        method: `"pga"` or `"apgd"`, see `PGA`. Defaults to `"pga"`.

    Returns:
        A `PGAResult`.

    Raises:
        ValueError: If an argument is not one of these.

    Reference:
        [Croce and Hein, 2020](https://arxiv.org/abs/2003.01690), algorithm 1.

    Example:
        >>> import tensorflow as tf
        >>> import lrlearn
        >>> def loss_fn(params):
        ...     return tf.reduce_sum(tf.square(params[0]) * [0.5, 5.0])
        >>> worst = lrlearn.evaluation.pga(loss_fn, [tf.zeros(2)], radius=0.1)
        >>> round(float(worst.loss), 4), round(float(worst.gradient_norm), 4)
        (0.05, 1.0)
    """
    search = PGA(loss_fn, objective, steps, restarts, adaptive, method)
    return search(params, radius, seed=seed)


def _result(loss, objective, e):
    f0, g0, defect = loss.start()
    f, g = loss.value_and_gradient(e)
    rise = flat.increase(f0, g0, f, g, e, loss.epsilon)
    f, slope, rise, e = (part + defect for part in (f, norm(g), rise, e))
    value = f if objective == "loss" else slope
    return PGAResult(value, f, slope, rise, loss.unflatten(e))
