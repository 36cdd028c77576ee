"""The loss on a plane through the parameters."""

import functools

import numpy as np
import pandas as pd
import tensorflow as tf

from lrlearn.checks import check_count, check_positive
from lrlearn.evaluation import flat
from lrlearn.evaluation.measured_loss import model_loss
from lrlearn.evaluation.validation import warn_if_nan
from lrlearn.models.training_loss import parameters


def loss_landscape(
    model, x, y=None, *, span=1.0, points=25, seed=0, loss=None, sample_weight=None
) -> pd.DataFrame:
    """Returns the loss of a Keras model on a plane through its weights.

    The plane is spanned by two random directions, normalized filter by filter to the
    model's own weights; `random_directions` defines filters. Models of one architecture
    share the random numbers if they share the seed. The model runs in inference mode
    and is left as it was. All examples go through it at once.

    Args:
        model: A built Keras model.
        x: Inputs, or a finite data set of batches; see `sharpness`.
        y: Targets, unless `x` is a data set. Defaults to `None`.
        span: Largest multiple of a direction, positive. Defaults to `1.0`.
        points: Points along each direction, at least 2; if it is odd, the model itself
            is one of them. Defaults to `25`.
        seed: Integer seed of the directions. Defaults to `0`.
        loss: A loss other than the compiled one, see `sharpness`. Defaults to `None`.
        sample_weight: Weights of the examples, or `None`. Defaults to `None`.

    Returns:
        A `pandas.DataFrame` with one row for each point and the columns `alpha`, `beta`
        (the multiples of the two directions) and `loss`; `lrlearn.plots.loss_landscape`
        draws it.

    Raises:
        ValueError: If `sharpness` would not take the model or the data, or an argument
            is not one of these.

    Reference:
        [Li et al., 2018](https://arxiv.org/abs/1712.09913), section 4.

    Example:
        >>> import keras
        >>> import numpy as np
        >>> import lrlearn
        >>> model = keras.Sequential([keras.Input([2]), keras.layers.Dense(1)])
        >>> model.compile(loss="mse")
        >>> table = lrlearn.evaluation.loss_landscape(
        ...     model, np.eye(2), np.zeros(2), points=3
        ... )
        >>> table["alpha"].tolist()
        [-1.0, -1.0, -1.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0]
        >>> centre = table[(table["alpha"] == 0) & (table["beta"] == 0)]
        >>> loss = model.evaluate(np.eye(2), np.zeros(2), verbose=0)
        >>> bool(np.isclose(centre["loss"].item(), loss))
        True
    """
    loss_fn = model_loss(model, x, y, loss, sample_weight)
    params = parameters(model)
    return landscape(loss_fn, params, random_directions(params, seed), span, points)


def landscape(loss_fn, params, directions, span=1.0, points=25) -> pd.DataFrame:
    r"""Returns $L(w + \alpha d_1 + \beta d_2)$ on a square grid.

    Args:
        loss_fn: Function of a list of tensors that returns a scalar.
        params: $w$, a list of tensors or variables.
        directions: $d_1$ and $d_2$, two lists of tensors shaped like the parameters.
        span: Largest $|\alpha|$ and $|\beta|$, positive. Defaults to `1.0`.
        points: Points along each direction, at least 2. Defaults to `25`.

    Returns:
        A `pandas.DataFrame` with one row for each point and the columns `alpha`, `beta`
        and `loss`, which need not be finite. A warning is given if the loss or its
        gradient is not finite at the parameters themselves.

    Raises:
        ValueError: If `params` is empty, or an argument is not one of these.

    Example:
        >>> import tensorflow as tf
        >>> import lrlearn
        >>> def loss_fn(params):
        ...     return tf.reduce_sum(params[0] ** 2)
        >>> directions = [[3.0, 0.0]], [[0.0, 1.0]]
        >>> table = lrlearn.evaluation.landscape(
        ...     loss_fn, [tf.zeros(2)], directions, points=2
        ... )
        >>> table["loss"].tolist()
        [10.0, 10.0, 10.0, 10.0]
    """
    check_positive("span", span)
    points = check_count("points", points, minimum=2)
    params = flat.as_tensors(params)
    _check_directions(directions, params)
    ends = [
        [tf.cast(d, w.dtype) for d, w in zip(direction, params, strict=True)]
        for direction in directions
    ]
    # Whole numbers first: then the middle is 0 exactly.
    steps = span * (2 * np.arange(points) - (points - 1)) / (points - 1)
    alpha, beta = (a.ravel() for a in np.meshgrid(steps, steps, indexing="ij"))
    evaluate = tf.function(functools.partial(_losses, loss_fn), autograph=False)
    losses, defect = evaluate(params, *ends, alpha, beta)
    warn_if_nan(defect, result="the landscape may mislead")
    return pd.DataFrame({"alpha": alpha, "beta": beta, "loss": losses.numpy()})


def random_directions(params, seed=0):
    r"""Returns two random directions, normalized filter by filter.

    Each filter $d_j$ is drawn from a normal distribution and scaled to the norm of the
    filter $w_j$ of the parameters: $d_j \leftarrow \|w_j\|\, d_j / \|d_j\|$. A filter
    is a slice at one last index: in Keras, the weights into one unit of a dense layer
    or one channel of a convolution. Parameters of fewer than two dimensions, such as
    biases, have direction 0.

    In two layers these are not filters in the paper's sense: the last index of a kernel
    is the input channel in a transposed convolution, and the depth multiplier in a
    depthwise one; if that is 1, all channels are scaled together.

    Args:
        params: $w$, a list of tensors or variables.
        seed: Integer seed. Defaults to `0`.

    Returns:
        A tuple of two lists of tensors, shaped like the parameters.

    Reference:
        [Li et al., 2018](https://arxiv.org/abs/1712.09913), section 4.

    Example:
        >>> import tensorflow as tf
        >>> import lrlearn
        >>> kernel, bias = tf.constant([[3.0, 0.0], [4.0, 1.0]]), tf.ones(2)
        >>> d1, d2 = lrlearn.evaluation.random_directions([kernel, bias])
        >>> tf.norm(d1[0], axis=0).numpy().round(3).tolist(), d1[1].numpy().tolist()
        ([5.0, 1.0], [0.0, 0.0])
    """
    params = flat.as_tensors(params)
    return tuple(
        [_filter_normalized(w, [seed, 2 * i + k]) for i, w in enumerate(params)]
        for k in range(2)
    )


def _check_directions(directions, params):
    shapes = [tuple(w.shape) for w in params]
    received = [[tuple(np.shape(d)) for d in direction] for direction in directions]
    if received != [shapes] * 2:
        raise ValueError(
            f"`directions` must be two lists of tensors of the shapes {shapes} of "
            f"`params`. Received: {received}"
        )


def _filter_normalized(w, seed):
    if w.shape.rank < 2:
        return tf.zeros_like(w)
    d = tf.cast(tf.random.stateless_normal(w.shape, seed), w.dtype)
    return d * tf.math.divide_no_nan(_filter_norms(w), _filter_norms(d))


def _filter_norms(w):
    axes = list(range(w.shape.rank - 1))
    return tf.sqrt(tf.reduce_sum(tf.square(w), axes, keepdims=True))


def _losses(loss_fn, params, d1, d2, alpha, beta):
    loss_fn = tf.function(loss_fn, autograph=False)  # Traced once.
    function = flat.Function(loss_fn, params)
    *_, defect = function.start()

    def loss(coefficients):
        a, b = coefficients
        moved = [
            w + tf.cast(a, w.dtype) * d + tf.cast(b, w.dtype) * e
            for w, d, e in zip(params, d1, d2, strict=True)
        ]
        return tf.cast(loss_fn(moved), function.dtype)

    losses = tf.map_fn(
        loss, (alpha, beta), fn_output_signature=function.dtype, parallel_iterations=1
    )
    return losses, defect
