"""A Keras model that is trained with a regularizer's gradients."""

import inspect
import math
import numbers

import keras

from lrlearn import regularizers
from lrlearn.models.step import Step, settings
from lrlearn.models.training_loss import parameters


@keras.saving.register_keras_serializable(package="lrlearn")
class SharpnessAwareModel(keras.Model):
    r"""Model that is trained with a regularizer's gradients.

    $$w \leftarrow \mathrm{optimizer}(w, \mathrm{field}(L, w)), \qquad
      \text{for SAM } \mathrm{field} = \nabla L(w + \rho\,g/|g|).$$

    It takes any Keras optimizer. Losses, weights, masks, metrics, mixed precision,
    callbacks and saving work as in `keras.Model`. All passes of a step see the same
    data, dropout masks and state. Metrics and the statistics of batch normalization
    come from the first, plain pass alone. So SAM with a radius of 0 trains exactly as
    `keras.Model` does, only slower.

    Each replica of a `tf.distribute` strategy perturbs along its own gradient, as in
    the authors' code (m-sharpness), and so does each batch under gradient accumulation.
    On JAX, the gradient is that of the whole batch.

    Args:
        inputs: As in `keras.Model`: one `keras.Input`, or a structure of them.
        outputs: As in `keras.Model`. To use a subclassed model, call it as a layer:
            `SharpnessAwareModel(inputs, model(inputs))`.
        **kwargs: `name` and other arguments of `keras.Model`.

    Reference:
        [Foret et al., 2021](https://arxiv.org/abs/2010.01412), algorithm 1;
        section 4.1 for m-sharpness.

    Example:
        >>> import keras
        >>> import lrlearn
        >>> import numpy as np
        >>> inputs = keras.Input((4,))
        >>> outputs = keras.layers.Dense(1)(inputs)
        >>> model = lrlearn.SharpnessAwareModel(inputs, outputs)
        >>> sam = lrlearn.regularizers.SAM(rho=0.05)
        >>> model.compile("adam", loss="mse", regularizer=sam)
        >>> history = model.fit(np.ones((8, 4)), np.ones((8, 1)), verbose=0)
        >>> list(history.history)
        ['loss']
    """

    # Keras's constructor reads these before `compile` sets them.
    _regularizer = _start = _train_function = _traced = _shardings = None
    start_fraction = 0.0

    @classmethod
    def from_model(cls, model):
        """Returns a model that shares the layers, and so the weights, of another.

        Args:
            model: A functional model, or a `keras.Sequential` with an `Input`.

        Raises:
            ValueError: If it is neither.
        """
        try:
            if isinstance(model, keras.Sequential):
                inputs, outputs = _single(model.inputs), _single(model.outputs)
            else:
                inputs, outputs = model.input, model.output
        except (AttributeError, ValueError):
            raise ValueError(
                "`model` must be functional, or a Sequential with an Input; for "
                "others call SharpnessAwareModel(inputs, model(inputs)). "
                f"Received: {model=}"
            ) from None
        other = cls(inputs, outputs, name=model.name)
        other.dtype_policy = model.dtype_policy
        return other

    def compile(self, *args, regularizer=None, start_fraction=0.0, **kwargs):
        """Configures the model for training; see `keras.Model.compile`.

        Args:
            *args: As in `keras.Model.compile`.
            regularizer: An `lrlearn.regularizers.Regularizer`, a name such as
                `"sam"`, or `None` for plain gradients. Defaults to `None`.
            start_fraction: Fraction of the steps of each `fit` to take with plain
                gradients first, from 0 to 1 (exclusive); with 7/8, SAM costs an
                eighth more instead of twice as much. Defaults to `0.0`.
            **kwargs: As in `keras.Model.compile`.

        Raises:
            ValueError: If an argument is not one of these.

        Reference:
            Late phase: [Zhou et al., 2024](https://arxiv.org/abs/2410.10373).
        """
        is_number = isinstance(start_fraction, numbers.Real)
        if not is_number or not 0 <= start_fraction < 1:
            raise ValueError(
                "`start_fraction` must be a number, at least 0 and below 1. "
                f"Received: {start_fraction=}"
            )
        regularizer = regularizers.get(regularizer)
        super().compile(*args, **kwargs)
        self.regularizer, self.start_fraction = regularizer, start_fraction
        self._start = self._shardings = None

    def get_compile_config(self):
        """Returns the arguments of `compile`, as JSON types."""
        config = super().get_compile_config()
        if not config:
            return config
        regularizer = keras.saving.serialize_keras_object(self.regularizer)
        return config | {
            "regularizer": regularizer,
            "start_fraction": self.start_fraction,
        }

    def compile_from_config(self, config):
        """Compiles the model from a dict that `get_compile_config` returned."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        if self.optimizer is not None and self.built:
            self.optimizer.build(self.trainable_variables)

    @property
    def regularizer(self):
        """The regularizer; it, and its attributes, may change between two steps."""
        return self._regularizer

    @regularizer.setter
    def regularizer(self, regularizer):
        self._regularizer = regularizers.get(regularizer)

    @property
    def train_function(self):
        """The compiled step; it is made anew if its settings have changed."""
        if self._train_function is not None and self._traced != self._settings():
            self._train_function = None
            self.make_train_function()
        return self._train_function

    @train_function.setter
    def train_function(self, function):
        self._train_function, self._traced = function, self._settings()

    def _settings(self):
        """Returns a string of all that a compiled step holds as constants."""
        return settings([self.regularizer, self.start_fraction, self._start])

    def _get_state_sharding_spec(self):
        """Returns how JAX's devices share the state.

        The first result is kept: within Keras's `fit` variables have no values.
        """
        if self._shardings is None:
            spec = super()._get_state_sharding_spec()
            self._shardings = lambda: spec
        return self._shardings()

    def fit(self, *args, **kwargs):
        """Trains the model; see `keras.Model.fit`."""
        if self.start_fraction:
            call = inspect.signature(super().fit).bind(*args, **kwargs)
            given = call.arguments.get("callbacks") or []
            given = given if isinstance(given, list | tuple) else [given]
            call.arguments["callbacks"] = [_LatePhase(), *given]
            args, kwargs = call.args, call.kwargs
        return super().fit(*args, **kwargs)

    def train_step(self, *args):
        """Takes one step; see `keras.Model.train_step`."""
        if self.regularizer is None or not parameters(self):
            return super().train_step(*args)
        step = Step(self, self.regularizer, self._first_late_iteration())
        if keras.backend.backend() == "jax":
            return step.take_stateless(*args)
        if keras.backend.backend() == "torch":
            import torch

            with torch.no_grad():
                return step.take(*args)
        return step.take(*args)

    def _first_late_iteration(self):
        if self.start_fraction and self._start is None:
            raise ValueError(
                "`start_fraction` must be 0 unless `fit` was called, which knows the "
                "number of steps. "
                f"Received: start_fraction={self.start_fraction}"
            )
        return self._start if self.start_fraction else 0


class _LatePhase(keras.callbacks.Callback):
    """Computes, when `fit` starts, at which iteration the late phase of it begins."""

    _is_computed = False

    def on_epoch_begin(self, epoch, logs=None):
        """Counts all epochs, also if `initial_epoch` is not 0."""
        if self._is_computed:
            return
        steps = self.params["steps"]
        if steps is None:
            raise ValueError(
                "`steps_per_epoch` must be given with `start_fraction` if the length "
                "of the data is unknown. Received: steps_per_epoch=None"
            )
        optimizer = self.model.optimizer
        done = int(keras.ops.convert_to_numpy(optimizer.iterations))
        inner = getattr(optimizer, "inner_optimizer", optimizer)  # of a loss scale
        each = inner.gradient_accumulation_steps or 1
        before = self.model.start_fraction * self.params["epochs"] * steps
        self.model._start = done + math.ceil((before - epoch * steps) / each)
        self._is_computed = True


def _single(tensors):
    return tensors[0] if len(tensors) == 1 else tensors
