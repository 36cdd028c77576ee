"""A Keras optimizer that updates all variables at once."""

import keras
from keras import ops

from lrlearn.optimizers import backends


class FusedOptimizer(keras.optimizers.Optimizer):
    r"""A Keras optimizer that updates all variables at once.

    Keras updates them one by one; a few large operations are faster than many small
    ones. Subclasses implement `_updates`; then $w \leftarrow w + \eta\,d$.
    """

    def _updates(self, gradients, values):
        """Returns the updates $d$ of all variables that the optimizer was built with.

        Args:
            gradients: A list of tensors, `None` for variables that stay as they are.
            values: The variables' values, a list of tensors or variables.

        Returns:
            A list of float32 tensors like `values`.
        """
        raise NotImplementedError

    def _limit(self, index, d, gradient, value):
        """Returns the change of variable `index`, given the one that is due.

        Args:
            index: Position of the variable in those the optimizer was built with.
            d: Change that is due, a tensor of the variable's type.
            gradient: The variable's gradient, a tensor.
            value: The variable.
        """
        return d

    def apply(self, grads, trainable_variables=None):
        """Updates the variables; see `keras.optimizers.Optimizer.apply`."""
        super().apply(backends.dense(grads), trainable_variables)

    def _backend_update_step(self, grads, trainable_variables, learning_rate):
        """Updates all variables at once, which takes fewer and larger operations."""
        if keras.backend.backend() == "tensorflow":
            # Reduces the gradients over replicas, and then calls the method below.
            super()._backend_update_step(grads, trainable_variables, learning_rate)
        else:
            self._update(grads, trainable_variables, learning_rate)

    def _all_reduce_sum_gradients(self, grads_and_vars):
        """Sums the gradients over replicas, if there are several.

        The sum has a gradient of its own, through which TensorFlow keeps the graph of
        every step that was ever traced.
        """
        import tensorflow as tf

        strategy = tf.distribute.get_strategy()
        if strategy.num_replicas_in_sync == 1:
            return grads_and_vars
        if strategy is not self._distribution_strategy:
            made_in = type(self._distribution_strategy).__name__
            raise ValueError(
                f"{self.name!r} must be made inside `with strategy.scope():` of the "
                f"{type(strategy).__name__} that it runs in. Received: one made in the "
                f"scope of {made_in}"
            )
        return super()._all_reduce_sum_gradients(grads_and_vars)

    def _distributed_tf_update_step(self, distribution, grads_and_vars, learning_rate):
        grads, variables = zip(*grads_and_vars, strict=True)
        distribution.extended.update(
            variables[0],
            lambda _, *args: self._update(*args),
            args=(grads, variables, learning_rate),
            group=False,
        )

    def _update(self, gradients, variables, learning_rate):
        indices = [self._get_variable_index(v) for v in variables]
        given = dict(zip(indices, gradients, strict=True))
        # The variables passed are the replica's own.
        values = dict(enumerate(self._trainable_variables)) | dict(
            zip(indices, variables, strict=True)
        )
        updates = self._updates(
            [given.get(index) for index in values], list(values.values())
        )
        for index, variable in zip(indices, variables, strict=True):
            d = ops.cast(learning_rate, "float32") * updates[index]
            d = ops.cast(d, variable.dtype)
            self.assign_add(variable, self._limit(index, d, given[index], variable))

    def finalize_variable_values(self, var_list):
        """Ends training; see `keras.optimizers.Optimizer`.

        Moving averages are of weights before their projection: they are projected, too.
        """
        super().finalize_variable_values(var_list)
        if self.use_ema:
            for variable in var_list:
                if variable.constraint is not None:
                    variable.assign(variable.constraint(variable))
