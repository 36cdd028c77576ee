"""A Keras model that a regularizer trains."""

import keras


class RegularizedModel(keras.Model):
    """A model whose optimizer gets a regularizer's gradients in place of the plain.

    Args:
        model: A functional Keras model, whose layers are shared.
        regularizer: A `Regularizer`.
    """

    def __init__(self, model, regularizer):
        super().__init__(model.inputs, model.outputs[0])
        self.regularizer = regularizer

    def train_step(self, data):
        """Takes one step; see `keras.Model`."""
        x, y = data
        states = []

        def loss_fn(params):
            loss, state = self._stateless_loss(params, x, y)
            states.append(state)
            return loss

        loss, gradients = self.regularizer.gradients(loss_fn, self.trainable_variables)
        self.optimizer.apply(gradients, self.trainable_variables)
        # The first pass alone moves the statistics of batch normalization.
        for variable, value in zip(
            self.non_trainable_variables, states[0], strict=True
        ):
            variable.assign(value)
        self.metrics[0].update_state(loss)
        return self.get_metrics_result()

    def _stateless_loss(self, params, x, y):
        mapping = zip(self.trainable_variables, params, strict=True)
        with keras.StatelessScope(list(mapping)) as scope:
            loss = self.compute_loss(x, y, self(x, training=True))
        state = self.non_trainable_variables
        return loss, [scope.get_current_value(v) for v in state]
