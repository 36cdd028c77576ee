"""The training loss of a Keras model as a function of its parameters."""

import keras
from keras import ops


class TrainingLoss:
    """A model's loss on a batch: a function of its trainable variables' values.

    Each call starts from the same state (of seed generators, batch normalization and
    metrics), so that dropout draws the same masks each time, and changes nothing.

    Args:
        model: A compiled `keras.Model`.
        x: Inputs, a tensor or a structure of them.
        y: Targets, likewise.
        sample_weight: As `keras.Model.compute_loss` takes it.

    Attributes:
        scale: What the optimizer multiplies losses by, or `None`; see
            `lrlearn.regularizers.value_and_gradients`.
    """

    def __init__(self, model, x, y, sample_weight):
        self._model, self._data = model, (x, y, sample_weight)
        self._state = [(v, ops.convert_to_tensor(v.value)) for v in self._variables()]
        scale = model.optimizer.scale_loss(1.0)
        # The number itself is what comes back where there is no scaling.
        self.scale = None if isinstance(scale, float) and scale == 1.0 else scale
        self._replicas = _num_replicas()

    def __call__(self, params):
        """Returns the loss, a scalar, at a list of tensors."""
        return self.forward(params)[0]

    def forward(self, params):
        """Returns `(loss, (predictions, state))`, the state for `assign`."""
        x, y, sample_weight = self._data
        mapping = [
            *zip(self._model.trainable_variables, params, strict=True),
            *self._state,
        ]
        with keras.StatelessScope(mapping, collect_losses=True) as scope:
            y_pred = self._model(x, training=True)
            loss = self._model.compute_loss(x, y, y_pred, sample_weight, training=True)
        if self._replicas > 1:
            # Keras divides it among the replicas, over which gradients are summed.
            loss = loss * self._replicas
        state = [scope.get_current_value(v) for v in self._variables()]
        return loss, (y_pred, state)

    def assign(self, state):
        """Sets the variables that `forward` changed to what it returned."""
        old = {id(variable): value for variable, value in self._state}
        for variable, value in zip(self._variables(), state, strict=True):
            if value is not None and value is not old.get(id(variable)):
                variable.assign(value)

    def for_optimizer(self, gradients):
        """Returns gradients as of the loss that Keras would differentiate."""
        if self.scale is None and self._replicas == 1:
            return gradients
        factor = (1.0 if self.scale is None else self.scale) / self._replicas
        return [g if g is None else g * ops.cast(factor, g.dtype) for g in gradients]

    def _variables(self):
        # Keras may make those of metrics during the first call.
        model = self._model
        return [*model.non_trainable_variables, *model.metrics_variables]


def _num_replicas():
    """Returns over how many replicas Keras divides a loss."""
    if keras.backend.backend() != "tensorflow":
        return 1
    import tensorflow as tf

    return tf.distribute.get_strategy().num_replicas_in_sync
