"""One training step with a regularizer's gradients."""

import numbers

import keras
from keras import ops
from keras.optimizers.schedules import LearningRateSchedule

from lrlearn.models.training_loss import TrainingLoss
from lrlearn.regularizers import Regularizer, RhoSchedule
from lrlearn.regularizers.gradients import differentiate, fill

_BY_ATTRIBUTES = (Regularizer, RhoSchedule, LearningRateSchedule)


class Step:
    r"""One step of a model: $w \leftarrow \mathrm{optimizer}(w, \mathrm{field}(L, w))$.

    Args:
        model: A compiled `keras.Model`.
        regularizer: A `Regularizer`.
        start: The optimizer's iteration before which gradients are plain, an int.
    """

    def __init__(self, model, regularizer, start):
        self._model, self._optimizer = model, model.optimizer
        self._regularizer, self._start = regularizer, start

    def take(self, data):
        """Takes the step and returns the logs; see `keras.Model.train_step`."""
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        training_loss = TrainingLoss(self._model, x, y, sample_weight)
        loss, y_pred, gradients = self._gradients(training_loss)
        self._apply(training_loss.for_optimizer(gradients))
        first = next(part for part in keras.tree.flatten(x) if part is not None)
        self._model._loss_tracker.update_state(loss, sample_weight=ops.shape(first)[0])
        return self._model.compute_metrics(x, y, y_pred, sample_weight=sample_weight)

    def take_stateless(self, state, data):
        """Takes the step from all variables' values; returns the logs and new values.

        Args:
            state: Tuple of the lists of values of the model's trainable variables, its
                other variables, the optimizer's and the metrics'.
            data: As in `take`.
        """
        variables = (
            self._model.trainable_variables,
            self._model.non_trainable_variables,
            self._optimizer.variables,
            self._model.metrics_variables,
        )
        pairs = [
            pair
            for group, values in zip(variables, state, strict=True)
            for pair in zip(group, values, strict=True)
        ]
        with keras.StatelessScope(pairs) as scope:
            logs = self.take(data)
        return logs, tuple(
            [scope.get_current_value(v) for v in group] for group in variables
        )

    def _gradients(self, training_loss):
        """Returns the plain loss, the predictions and the regularized gradients.

        The model's other variables keep the values that the plain pass gave them.
        """
        variables = self._model.trainable_variables
        values = [ops.convert_to_tensor(v.value) for v in variables]
        (loss, (y_pred, state)), gradients = differentiate(
            training_loss.forward, values, training_loss.scale
        )
        params = training_loss.of_parameters(values)
        g = fill(training_loss.of_parameters(gradients), params)
        # A `MultiOptimizer` has no learning rate.
        rate = getattr(self._optimizer, "learning_rate", None)
        regularizer = self._regularizer.resolve(rate, self._optimizer.iterations)

        def field():
            return regularizer.field(training_loss, params, loss, g)

        if self._start:
            late = ops.greater_equal(self._optimizer.iterations, self._start)
            field_or_g = ops.cond(late, field, lambda: g)
        else:
            field_or_g = field()
        training_loss.assign(state)
        return loss, y_pred, training_loss.replace(gradients, field_or_g)

    def _apply(self, gradients):
        variables = self._model.trainable_variables
        if keras.backend.backend() != "jax":
            self._optimizer.apply(gradients, variables)
            return
        # LossScaleOptimizer branches, which JAX only does without side effects.
        old = [[v.value for v in vs] for vs in (self._optimizer.variables, variables)]
        new, state = self._optimizer.stateless_apply(old[0], gradients, old[1])
        for variable, value in zip(
            [*variables, *self._optimizer.variables], [*new, *state], strict=True
        ):
            variable.assign(value)


def settings(value):
    """Returns a string that changes if the settings of a compiled step do.

    Args:
        value: A regularizer, `None`, or an attribute of a regularizer. Regularizers,
            schedules, containers, numbers and strings are compared by value, other
            objects by identity.

    Example:
        >>> from lrlearn.models.step import settings
        >>> from lrlearn.regularizers import SAM
        >>> sam = SAM(rho=0.05)
        >>> before = settings(sam)
        >>> sam.rho = 0.1
        >>> settings(sam) == before, settings(SAM(rho=0.05)) == before
        (False, True)
    """
    if value is None or isinstance(value, numbers.Number | str):
        return repr(value)
    if isinstance(value, list | tuple):
        return repr([settings(v) for v in value])
    if isinstance(value, dict):
        return repr({name: settings(v) for name, v in value.items()})
    if isinstance(value, _BY_ATTRIBUTES):
        return f"{type(value)}{settings(vars(value))}"
    return repr(id(value))
