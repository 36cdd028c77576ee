"""The training loss of a Keras model as a function of its parameters."""

import keras
from keras import ops


class TrainingLoss:
    """A model's loss on a batch: a function of its trainable variables' values.

    Each call starts from the same state (of seed generators, batch normalization and
    metrics), so that dropout draws the same masks each time, and changes nothing.

    Its gradients do not vanish in half precision: where the optimizer scales the loss,
    they are scaled on their way back through the model, and scaled back behind it.

    Args:
        model: A compiled `keras.Model`.
        x: Inputs, a tensor or a structure of them.
        y: Targets, likewise.
        sample_weight: As `keras.Model.compute_loss` takes it.
    """

    def __init__(self, model, x, y, sample_weight):
        self._model, self._data = model, (x, y, sample_weight)
        self._state = [(v, ops.convert_to_tensor(v.value)) for v in self._variables()]
        self._scale = model.optimizer.scale_loss(1.0)
        self._replicas = _num_replicas()

    def __call__(self, params):
        """Returns `(loss, (predictions, state))`.

        Args:
            params: List of tensors.

        Returns:
            The loss, a scalar, predictions, and the state after the call, for `assign`.
        """
        x, y, sample_weight = self._data
        params = [_scale_gradient(w, 1.0 / self._scale) for w in params]
        mapping = [
            *zip(self._model.trainable_variables, params, strict=True),
            *self._state,
        ]
        with keras.StatelessScope(mapping, collect_losses=True) as scope:
            y_pred = self._model(x, training=True)
            # Keras divides it among the replicas, over which gradients are summed.
            loss = self._model.compute_loss(x, y, y_pred, sample_weight, training=True)
            loss = _times(loss, self._replicas)
        state = [scope.get_current_value(v) for v in self._variables()]
        return _scale_gradient(loss, self._scale), (y_pred, state)

    def assign(self, state):
        """Sets the variables that a call changed to what it returned."""
        old = {id(variable): value for variable, value in self._state}
        for variable, value in zip(self._variables(), state, strict=True):
            if value is not None and value is not old.get(id(variable)):
                variable.assign(value)

    def scaled_for_optimizer(self, gradients):
        """Returns gradients as of the loss that Keras would differentiate."""
        factor = self._scale / self._replicas
        return [g if g is None else _times(g, factor) for g in gradients]

    def _variables(self):
        # Keras may make those of metrics during the first call.
        model = self._model
        return [*model.non_trainable_variables, *model.metrics_variables]


def _scale_gradient(x, factor):
    """Returns `x` to the bit; on the way back, gradients are multiplied."""
    if _is_one(factor):
        return x
    y = _times(x, factor)
    return ops.stop_gradient(x) + (y - ops.stop_gradient(y))


def _times(x, factor):
    return x if _is_one(factor) else x * ops.cast(factor, x.dtype)


def _is_one(factor):
    return isinstance(factor, float) and factor == 1.0


def _num_replicas():
    """Returns over how many replicas Keras divides a loss."""
    if keras.backend.backend() != "tensorflow":
        return 1.0
    import tensorflow as tf

    return float(tf.distribute.get_strategy().num_replicas_in_sync)
