"""A task: a model, its loss and its data."""

import random
from contextlib import contextmanager

import numpy as np
import tensorflow as tf
from keras import ops

from lrlearn.checks import check_count
from lrlearn.models.passes import Pass, WithLoss, run_pass
from lrlearn.models.training_loss import parameters
from lrlearn.tasks import checks, metrics

SPLITS = ("train", "validation", "test")


class Task:
    r"""A model to be optimized (the optimizee), its loss and data, as pure functions.

    Any Keras model will do. Its loss on a batch is the one that Keras computes,

    $$L(w) = \frac 1 B \sum_{b=1}^B \ell(y_b, f_w(x_b)) + \sum_j R_j(w),$$

    with masks, and with $R_j$ the model's own losses (weight and activity regularizers,
    `add_loss`). There are no sample weights, and state must be in Keras variables.

    Args:
        model_fn: Function without arguments that builds a new Keras model. An
            initializer or layer that is given a seed is the same in each
            initialization.
        loss: Keras loss, its name, or a function `(y_true, y_pred)` that returns one
            number, or one for each example.
        train: Tuple `(x, y)` of arrays with one row for each example. float64 becomes
            float32; other types stay as they are.
        validation: Like `train`, or `None` (the default).
        test: Like `train`, or `None` (the default).
        batch_size: Examples in a batch. Defaults to `128`.
        name: Name for messages and tables. Defaults to `"task"`.
        metric: Function `(y_true, y_pred)` that returns one number, or one for each
            example. Its name is that of its column in tables. Defaults to `None`: the
            accuracy, NaN unless targets are classes.
        batch_fn: Function of a seed, an integer tensor `[2]`, that returns a training
            batch `(x, y)` of `batch_size` new examples like those of `train`, in
            TensorFlow operations. `train` is then what the model is built on and scored
            on. Defaults to `None`: batches are rows of `train`.

    Raises:
        ValueError: If data are empty, if `x` and `y` differ in length, if `batch_size`
            is less than 1, or if `metric` has no name. On the first use of the model:
            if class labels lie outside its outputs, or if `model_fn` builds no new
            model. On the first batch: if that of `batch_fn` is unlike `train`.

    Example:
        >>> import keras
        >>> import numpy as np
        >>> import lrlearn
        >>> def model_fn():
        ...     return keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
        >>> x = np.eye(3, dtype="float32")
        >>> y = np.ones((3, 1), "float32")
        >>> task = lrlearn.tasks.Task(model_fn, "mse", train=(x, y), batch_size=2)
        >>> params, state = task.init(seed=0)
        >>> loss, outputs, state = task.evaluate_loss(params, state, x, y)
        >>> task.num_params, outputs.shape
        (4, TensorShape([3, 1]))
    """

    def __init__(
        self,
        model_fn,
        loss,
        train,
        validation=None,
        test=None,
        batch_size=128,
        name=None,
        metric=None,
        batch_fn=None,
    ):
        if not callable(model_fn):
            raise ValueError(
                f"`model_fn` must be a function that builds a model. "
                f"Received: {model_fn!r}"
            )
        self.model_fn = model_fn
        self.loss = checks.loss(loss)
        self.train = checks.examples("train", train)
        self.validation = checks.examples("validation", validation)
        self.test = checks.examples("test", test)
        self.batch_size = check_count("batch_size", batch_size)
        self.name = name or "task"
        self.metric = checks.metric(metrics.accuracy if metric is None else metric)
        self.batch_fn = checks.batch_fn(batch_fn)
        self._model = self._measured = None
        self._foreign = []
        self._tensors = {}

    @property
    def model(self):
        """A model that holds the structure; the values of its variables are unused."""
        if self._model is None:
            with tf.init_scope():
                model, outputs = self._build(seed=0)
            for split in SPLITS:
                checks.labels(self.loss, split, getattr(self, split), outputs)
            with tf.init_scope():
                self._measured = WithLoss(model, self.loss)
            self._foreign = self._foreign_variables(model)
            self._model = model
        return self._model

    @property
    def num_params(self):
        """Number of trainable parameters."""
        return sum(int(np.prod(w.shape)) for w in parameters(self.model))

    def epochs(self, steps):
        """Returns how often a run sees each example, on average.

        Args:
            steps: Number of steps of the run.
        """
        if self.batch_fn is not None:
            return 1.0  # all are new
        return steps * self.batch_size / len(self.train[0])

    def variables(self, model):
        """Returns a model's variables in the order in which `init` has their values.

        Args:
            model: A built model that `model_fn` returned.

        Returns:
            A tuple `(params, state)` of lists of variables: those that are trained, and
            all others that the model has or that a call writes, such as the state of
            recurrent layers and Keras's global seed generator.
        """
        template, params = self.model, parameters(model)
        foreign = self._foreign
        if foreign and model is not template:
            foreign = self._foreign_variables(model)
        own = [v for v in model.variables if not _is_in(v, params)]
        return params, [*own, *foreign]

    def _foreign_variables(self, model):
        """Returns the variables that a call writes and the model does not hold."""
        with tf.init_scope():
            x, y = (tf.convert_to_tensor(a[:1]) for a in self.train)
            with Pass([(v, v.value) for v in model.variables]) as scope:
                run_pass(WithLoss(model, self.loss), (x, y, None), training=True)
        return [v for v, _ in scope.writes if not _is_in(v, model.variables)]

    def __repr__(self):
        return f"Task({self.name!r})"

    def init(self, seed, scale=1.0):
        """Returns the values of a fresh initialization.

        Custom initializers must draw from Python's or NumPy's random state, or from a
        seed drawn from these. Both states are left as they were.

        Args:
            seed: Integer seed; the same seed gives the same values.
            scale: Factor on the trainable values. Defaults to `1.0`.

        Returns:
            A tuple `(params, state)` of lists of arrays, values of `variables`.
        """
        template = self.model
        with tf.init_scope():
            model, _ = self._build(seed)
            if model is template:
                raise ValueError(
                    "`model_fn` must build a new model on each call. "
                    f"Received: the same model twice, {model.name!r}"
                )
            variables = self.variables(model)
            params = [w.numpy() for w in variables[0]]
            state = [
                # Keras's global seed generator, which all models share.
                np.array([seed, 0]).astype(v.dtype)
                if _is_in(v, self._foreign)
                else v.numpy()
                for v in variables[1]
            ]
        return [(scale * w).astype(w.dtype) for w in params], state

    def evaluate_loss(self, params, state, x, y, training=False):
        """Returns the loss on a batch, as a pure function of parameters and state.

        Args:
            params: List of tensors, values of the trained `variables`.
            state: List of tensors, values of the other `variables` (statistics of batch
                normalization, seeds of dropout).
            x: Inputs `[batch, ...]`.
            y: Targets `[batch, ...]`.
            training: Whether the model runs in training mode. Defaults to `False`.

        Returns:
            A tuple `(loss, outputs, state)`: a float32 scalar, the model's outputs, and
            the state after the call.
        """
        params_of, state_of = self.variables(self.model)
        values = [
            *zip(params_of, params, strict=True),
            *zip(state_of, state, strict=True),
        ]
        with Pass(values) as scope:
            loss, outputs = run_pass(self._measured, (x, y, None), training)
        state = [tf.convert_to_tensor(scope.get_current_value(v)) for v in state_of]
        return ops.mean(ops.cast(loss, "float32")), outputs, state

    def evaluate_metric(self, y, outputs):
        """Returns the metric of outputs of the model, a float32 scalar.

        Args:
            y: Targets `[batch, ...]`.
            outputs: What `evaluate_loss` returned.
        """
        return ops.mean(ops.cast(self.metric(y, outputs), "float32"))

    def loss_fn(self, state, x, y, training=True):
        """Returns the loss on a batch as a function of the parameters alone.

        Args:
            state: See `evaluate_loss`.
            x: Inputs `[batch, ...]`.
            y: Targets `[batch, ...]`.
            training: Whether the model runs in training mode. Defaults to `True`.

        Returns:
            A tuple `(loss_fn, states)`: a function of a list of tensors, and a list to
            which each call of it appends the state after the call.
        """
        states = []

        def loss_fn(params):
            loss, _, after = self.evaluate_loss(params, state, x, y, training)
            states.append(after)
            return loss

        return loss_fn, states

    def batch(self, split, seed):
        """Returns a random batch, drawn with replacement; usable in a `tf.function`.

        Training batches are those of `batch_fn`, if there is one.

        Args:
            split: `"train"`, `"validation"` or `"test"`.
            seed: Integer tensor `[2]`; the same seed gives the same batch.

        Returns:
            A tuple `(x, y)` of tensors with `batch_size` rows.

        Raises:
            ValueError: If the task has no such data.
        """
        if split == "train" and self.batch_fn is not None:
            return checks.batch(self.batch_fn(seed), self.train, self.batch_size)
        x, y = self._data(split)
        # The algorithm is named: XLA's own draws others from the same seed.
        rows = tf.random.stateless_uniform(
            [self.batch_size], seed, 0, tf.shape(x)[0], tf.int32, alg="philox"
        )
        return tf.gather(x, rows), tf.gather(y, rows)

    def _data(self, split):
        available = [s for s in SPLITS if getattr(self, s) is not None]
        if split not in available:
            raise ValueError(
                f"`split` must be one of {available}, the data of task "
                f"{self.name!r}. Received: {split=}"
            )
        if split not in self._tensors:
            # Eager tensors are captured by graphs; constants would be copied into each.
            with tf.init_scope():
                self._tensors[split] = tuple(
                    tf.convert_to_tensor(a) for a in getattr(self, split)
                )
        return self._tensors[split]

    def _build(self, seed):
        """Returns a new model and its outputs for one example."""
        with _seeded(seed):
            model = self.model_fn()
            if self._model is not None and model.built:
                return model, None
            return model, model(self.train[0][:1])


@contextmanager
def _seeded(seed):
    """Seeds the random states from which Keras draws the seeds of initializers."""
    python_state, numpy_state = random.getstate(), np.random.get_state()
    random.seed(int(seed))
    np.random.seed(int(seed) % 2**32)
    try:
        yield
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)


def _is_in(variable, variables):
    # Not `in`: variables compare by value.
    return any(variable is other for other in variables)
