"""Sharpness of a loss around parameters, by radius."""

import numpy as np
import pandas as pd
import tensorflow as tf

from lrlearn.evaluation import flat
from lrlearn.evaluation.gradient_ascent import PGA
from lrlearn.evaluation.measured_loss import model_loss
from lrlearn.evaluation.validation import check_radii, warn_if_nan
from lrlearn.models.training_loss import parameters
from lrlearn.vectors import norm, unit

FIXED_RADII = (0.001, 0.005, 0.05, 0.1)
COLUMNS = (
    "clean_loss",
    "max_loss",
    "increase",
    "max_gradient_norm",
    "surrogate_gap",
)


class SharpnessEvaluator:
    r"""Measures sharpness of one loss at many parameters, with one compiled graph.

    For each radius $r$, with $\|e\|_2 \le r$ over all parameters jointly:

    - `clean_loss`: $L(w)$;
    - `max_loss`: $\max_e L(w + e)$;
    - `increase`: $\max_e L(w + e) - L(w)$, more accurate than the difference of the two
      columns if that is small;
    - `max_gradient_norm`: $\max_e \|\nabla L(w + e)\|$;
    - `surrogate_gap`: $L(w + r\,g/\|g\|) - L(w)$ with $g = \nabla L(w)$.

    With `adaptive` the ball is one of relative changes, $e = |w| \odot \hat e$ with
    $\|\hat e\|_2 \le r$, and gradients are those by $\hat e$. Then no column changes if
    the weights are rescaled and the network computes the same: for example, if the
    weights of a ReLU layer are doubled and those of the next layer are halved.

    The maxima are those that `PGA` finds: lower bounds, and tight ones on convex
    quadratics. A point in a small ball lies in a larger one too, so no maximum is below
    that of a smaller radius. The maxima skip points at which the loss or its gradient
    is not finite. If the parameters, the loss or its gradient there are not finite, all
    columns are NaN, and a warning is given.

    Args:
        loss_fn: Function of a list of tensors (and of `args`, see `__call__`) that
            returns a scalar.
        steps: Iterations of `PGA`. Defaults to `20`.
        restarts: Starts of `PGA`. Defaults to `1`.
        adaptive: Whether distances are relative to each weight. Defaults to `False`.
        method: `"pga"` or `"apgd"`, see `PGA`. Defaults to `"pga"`.

    Reference:
        Surrogate gap: [Zhuang et al., 2022](https://arxiv.org/abs/2203.08065), eq. 2.
        Adaptive sharpness: [Kwon et al., 2021](https://arxiv.org/abs/2102.11600),
        definition 2.

    Example:
        >>> import tensorflow as tf
        >>> import lrlearn
        >>> evaluator = lrlearn.evaluation.SharpnessEvaluator(
        ...     lambda w: tf.reduce_sum(tf.square(w[0]) * [0.5, 2.0])
        ... )
        >>> evaluator([[0.0, 0.0]], radii=[1.0, 2.0])["increase"].round(3).tolist()
        [2.0, 8.0]
        >>> evaluator([[1.0, 0.0]], radii=[1.0])["surrogate_gap"].round(3).tolist()
        [1.5]
    """

    def __init__(self, loss_fn, steps=20, restarts=1, adaptive=False, method="pga"):
        self._loss_fn, self._adaptive = loss_fn, adaptive
        self._highest, self._steepest = (
            PGA(loss_fn, objective, steps, restarts, adaptive, method)
            for objective in ("loss", "gradient_norm")
        )
        self._rows = tf.function(self._measure, autograph=False)

    def __call__(self, params, *args, radii=FIXED_RADII, relative=False, seed=0):
        """Returns the sharpness around `params`.

        Args:
            params: List of tensors or variables.
            *args: Tensors, or structures of them, that `loss_fn` gets after the
                parameters, such as the state of batch normalization.
            radii: Radii, each >= 0. Defaults to `(0.001, 0.005, 0.05, 0.1)`.
            relative: Whether `radii` are multiples of the parameters' L2 norm.
                Defaults to `False`.
            seed: Integer seed of the searches. Defaults to `0`.

        Returns:
            A `pandas.DataFrame` with one row for each radius. Its columns are `radius`
            (as given) and those above.

        Raises:
            ValueError: If `radii` is empty, one is negative or not finite, `params` is
                empty, or both `relative` and `adaptive` are true.
        """
        check_radii("radii", radii)
        if len(radii) == 0:
            raise ValueError(f"`radii` must hold at least one. Received: {radii=}")
        if relative and self._adaptive:
            raise ValueError(
                "`relative` and `adaptive` exclude each other. Received: both"
            )
        params = flat.as_tensors(params)
        dtype = flat.dtype(params)
        length = norm([tf.cast(w, dtype) for w in params]) if relative else 1.0
        absolute = tf.constant(radii, dtype) * length
        rows = self._rows(params, args, absolute, tf.constant(seed, tf.int32)).numpy()
        warn_if_nan(rows[:, COLUMNS.index("max_loss")])
        table = pd.DataFrame(grow_with_radius(rows, radii), columns=COLUMNS)
        table.insert(0, "radius", radii)
        return table

    def _measure(self, params, args, radii, seed):
        loss = flat.Function(self._loss_fn, params, args, self._adaptive)
        f0, g0, defect = loss.start()
        defect += flat.defect(radii)
        radii = tf.where(defect == 0, radii, tf.zeros_like(radii))

        def row(radius):
            highest = self._highest.search(params, args, radius, seed)
            steepest = self._steepest.search(params, args, radius, seed)
            e = radius * unit(g0)
            gap = flat.increase(f0, g0, *loss.value_and_gradient(e), e, loss.epsilon)
            return tf.stack(
                [f0, highest.loss, highest.increase, steepest.gradient_norm, gap]
            )

        return tf.map_fn(row, radii, parallel_iterations=1) + defect


def sharpness(
    model,
    x,
    y=None,
    radii=FIXED_RADII,
    relative=False,
    loss=None,
    steps=20,
    restarts=1,
    seed=0,
    adaptive=False,
    sample_weight=None,
    method="pga",
) -> pd.DataFrame:
    """Returns how far the loss of a Keras model rises around its weights.

    `SharpnessEvaluator` defines the columns. `clean_loss` is the loss of
    `model.evaluate` for the examples as one batch. The model runs in inference mode and
    is left as it was. All examples go through it at once: hand over as many as fit into
    memory (a few thousand are representative).

    Args:
        model: A built Keras model.
        x: Inputs, an array or a structure of them; or a finite data set of batches, of
            any kind that `model.evaluate` takes.
        y: Targets, unless `x` is a data set. Defaults to `None`.
        radii: L2 radii over all trainable weights jointly. Defaults to
            `(0.001, 0.005, 0.05, 0.1)`.
        relative: Whether `radii` are multiples of the weights' L2 norm. Defaults to
            `False`.
        loss: A loss other than the compiled one, as in `keras.Model.compile`: a name,
            Keras loss, function of `(y_true, y_pred)`, or a structure of them. Defaults
            to `None`: the compiled one.
        steps: Iterations of `PGA`. Defaults to `20`.
        restarts: Starts of `PGA`. Defaults to `1`.
        seed: Integer seed of the searches. Defaults to `0`.
        adaptive: Whether distances are relative to each weight. Defaults to `False`.
        sample_weight: Weights of the examples, or `None`. Defaults to `None`.
        method: `"pga"` or `"apgd"`, see `PGA`. Defaults to `"pga"`.

    Returns:
        A `pandas.DataFrame` with one row for each radius and the columns `radius`,
        `clean_loss`, `max_loss`, `increase`, `max_gradient_norm` and `surrogate_gap`.

    Raises:
        ValueError: If the model is not built or has no loss, `model.evaluate` does not
            take the data, or an argument is not one of these.

    Example:
        >>> import keras
        >>> import numpy as np
        >>> import lrlearn
        >>> model = keras.Sequential([keras.Input([2]), keras.layers.Dense(1)])
        >>> model.compile(loss="mse")
        >>> table = lrlearn.evaluation.sharpness(model, np.eye(2), np.zeros(2))
        >>> table["radius"].tolist()
        [0.001, 0.005, 0.05, 0.1]
        >>> bool((table["increase"] >= table["surrogate_gap"]).all())
        True
    """
    loss_fn = model_loss(model, x, y, loss, sample_weight)
    evaluator = SharpnessEvaluator(loss_fn, steps, restarts, adaptive, method)
    return evaluator(parameters(model), radii=radii, relative=relative, seed=seed)


def grow_with_radius(rows, radii):
    """Returns the rows with each maximum no less than that of any smaller radius."""
    order, rows = np.argsort(radii, kind="stable"), rows.copy()
    maxima = [COLUMNS.index(c) for c in COLUMNS if c.startswith(("max_", "incr"))]
    rows[np.ix_(order, maxima)] = np.maximum.accumulate(rows[np.ix_(order, maxima)])
    return rows
