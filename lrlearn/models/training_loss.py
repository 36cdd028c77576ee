"""The training loss of a Keras model as a function of its parameters."""

import keras
from keras import ops

from lrlearn.models.native_state import NativeState
from lrlearn.models.passes import Pass, run_pass


class TrainingLoss:
    """A model's loss on a batch: a function of its parameters.

    Each call starts from the same state of seed generators, batch normalization,
    recurrent layers and metrics, so dropout draws the same masks each time. A call
    changes no state. `forward` must be called first, and once.

    Args:
        model: A compiled `keras.Model`.
        x: Inputs, a tensor or a structure of them.
        y: Targets, likewise.
        sample_weight: As `keras.Model.compute_loss` takes it.

    Attributes:
        scale: Factor by which the optimizer multiplies losses, or `None`; see
            `lrlearn.regularizers.value_and_gradients`.
    """

    def __init__(self, model, x, y, sample_weight):
        self._model, self._data = model, (x, y, sample_weight)
        scale = model.optimizer.scale_loss(1.0)
        # Without scaling Keras returns the number itself.
        self.scale = None if isinstance(scale, float) and scale == 1.0 else scale
        self._replicas = _num_replicas()
        self._native = NativeState(model, self._run_as_it_is)
        self._written = []

    def __call__(self, params):
        """Returns the loss, a scalar, at a list of tensors, values of `parameters`."""
        values = zip(parameters(self._model), params, strict=True)
        with self._native.undone():
            return self._run(Pass(values))[0]

    def forward(self, values):
        """Returns `(loss, (predictions, state))`, the state for `assign`.

        Args:
            values: List of tensors, those of all trainable variables.
        """
        scope = Pass(zip(self._model.trainable_variables, values, strict=True))
        loss, y_pred = self._run(scope)
        self._written = [variable for variable, _ in scope.writes]
        return loss, (y_pred, [value for _, value in scope.writes])

    def assign(self, state):
        """Sets the variables that `forward` wrote to what it returned."""
        for variable, value in zip(self._written, state, strict=True):
            variable.assign(value)

    def of_parameters(self, values):
        """Returns the values of `parameters` among those of trainable variables."""
        pairs = zip(self._model.trainable_variables, values, strict=True)
        return [value for v, value in pairs if not overwritten(v)]

    def replace(self, gradients, field):
        """Returns the gradients with those of `parameters` replaced by a field.

        As in Keras, the gradient of a variable is `None` if the loss does not depend on
        it; it stays `None`.
        """
        field = iter(field)
        variables = self._model.trainable_variables
        both = [
            (g, g if overwritten(v) else next(field))
            for v, g in zip(variables, gradients, strict=True)
        ]
        return [None if g is None else new for g, new in both]

    def for_optimizer(self, gradients):
        """Returns gradients as Keras would hand them to the optimizer, scaled."""
        if self.scale is None and self._replicas == 1:
            return gradients
        scale = 1.0 if self.scale is None else self.scale
        return [
            g if g is None else g * ops.cast(scale / replicas, g.dtype)
            for g, replicas in zip(gradients, self._replicas_of_each(), strict=True)
        ]

    def _replicas_of_each(self):
        """Returns the factor by which `_run` has multiplied each gradient."""
        return [
            1 if overwritten(v) else self._replicas
            for v in self._model.trainable_variables
        ]

    def _run_as_it_is(self):
        return self._run(Pass([(v, v.value) for v in self._model.trainable_variables]))

    def _run(self, scope):
        with scope:
            loss, y_pred = run_pass(self._model, self._data, training=True)
        if self._replicas > 1:
            # Keras divides it among the replicas, over which gradients are summed.
            loss = loss * self._replicas
        return loss, y_pred


def parameters(model):
    """Returns the trainable variables that optimizers move along a gradient.

    Others, such as the scales of float8 layers, are overwritten by Keras with their
    "gradients": they are not weights.

    Args:
        model: A built Keras model or layer.
    """
    return [v for v in model.trainable_variables if not overwritten(v)]


def overwritten(variable):
    """Returns whether Keras overwrites a variable with its gradient."""
    return getattr(variable, "overwrite_with_gradient", False)


def _num_replicas():
    """Returns the number of replicas among which Keras divides a loss."""
    if keras.backend.backend() != "tensorflow":
        return 1
    import tensorflow as tf

    return tf.distribute.get_strategy().num_replicas_in_sync
