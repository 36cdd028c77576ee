"""One pass of a model through a batch, without side effects on Keras's variables."""

import keras
from keras import ops


class Pass(keras.StatelessScope):
    """Scope in which variables can be given other values, and all writes are kept.

    A variable that has no value here has that of the scope around it, else its own.

    Args:
        values: Pairs of a `keras.Variable` and its value in this scope. Defaults to
            `()`.
    """

    def __init__(self, values=()):
        super().__init__(values, collect_losses=True)
        self._given = set(self.state_mapping)
        self._written = {}

    @property
    def writes(self):
        """Pairs of a variable, whoever owns it, and the last value assigned to it.

        On JAX, those of the variables given to the scope are left out: Keras's own
        steps there forget them, too.
        """
        forgotten = self._given if keras.backend.backend() == "jax" else ()
        return [pair for i, pair in self._written.items() if i not in forgotten]

    def add_update(self, update):
        """See `keras.StatelessScope`."""
        variable, value = update
        self._written[id(variable)] = update
        if id(variable) in self._given and keras.backend.backend() != "jax":
            # Like an assignment outside: what follows is differentiated by the new
            # value, and how that came about is not.
            old = self.get_current_value(variable)
            value = ops.stop_gradient(value) + (old - ops.stop_gradient(old))
        super().add_update((variable, value))

    def get_current_value(self, variable):
        """See `keras.StatelessScope`."""
        value = super().get_current_value(variable)
        if value is None and self.original_scope is not None:
            return self.original_scope.get_current_value(variable)
        return value


def run_pass(model, data, training):
    """Returns `(loss, y_pred)` as `fit` or `evaluate` computes them; see `Pass`.

    Args:
        model: A compiled `keras.Model`.
        data: Tuple `(x, y, sample_weight)`.
        training: Whether in training mode.
    """
    x, y, sample_weight = data
    # What Keras's own steps call: a model's `call` and `compute_loss` may take
    # `training` or not.
    mode = {"training": training} if model._call_has_training_arg else {}
    y_pred = model(x, **mode)
    return model._compute_loss(x, y, y_pred, sample_weight, training=training), y_pred
