"""One pass of a model through a batch, without side effects on Keras variables."""

import contextlib

import keras
from keras import ops


class Pass(keras.StatelessScope):
    """Scope that gives variables other values, and records what is written to them.

    A variable without a value here has its value in the scope around, or else its own.

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
        """Pairs of a variable and the last value assigned to it.

        The variable may belong to no model. On JAX, variables with a value given to the
        scope are left out: Keras's own steps drop such writes there, too.
        """
        forgotten = self._given if keras.backend.backend() == "jax" else ()
        return [pair for i, pair in self._written.items() if i not in forgotten]

    def add_update(self, update):
        """See `keras.StatelessScope`."""
        variable, value = update
        self._written[id(variable)] = update
        if id(variable) in self._given and keras.backend.backend() != "jax":
            # Like an assignment outside of a scope: what follows is differentiated
            # with respect to the new value, not through its computation.
            old = self.get_current_value(variable)
            value = ops.stop_gradient(value) + (old - ops.stop_gradient(old))
        super().add_update((variable, value))

    def get_current_value(self, variable):
        """See `keras.StatelessScope`."""
        value = super().get_current_value(variable)
        if value is None and self.original_scope is not None:
            return self.original_scope.get_current_value(variable)
        return value


class WithLoss(keras.Model):
    """Computes what another model does, but has its own compiled loss.

    The other model shares its layers and variables, and is left as it is.

    Args:
        model: A `keras.Model`.
        loss: A loss as of `keras.Model.compile`, which may be a structure of them.
    """

    def __init__(self, model, loss):
        super().__init__(name=model.name)
        self.model = model
        self.output_names = getattr(model, "output_names", None)
        self.built = True
        self.compile(optimizer=None, loss=loss)

    def call(self, x, training=None):
        """Returns the other model's outputs."""
        mode = {"training": training} if self.model._call_has_training_arg else {}
        return self.model(x, **mode)


def run_pass(model, data, training):
    """Returns `(loss, y_pred)` as `fit` or `evaluate` computes them; see `Pass`."""
    x, y, sample_weight = data
    # As in Keras's own steps: `call` and `compute_loss` may take `training` or not.
    mode = {"training": training} if model._call_has_training_arg else {}
    with _torch_modules_in_scope(model):
        y_pred = model(x, **mode)
        loss = model._compute_loss(x, y, y_pred, sample_weight, training=training)
    return loss, y_pred


@contextlib.contextmanager
def _torch_modules_in_scope(model):
    """Makes PyTorch modules inside of Keras layers compute with the scope's values.

    They read their parameters directly, not through Keras variables.
    """
    if keras.backend.backend() != "torch":
        yield
        return
    wrappers = [
        layer
        for layer in model._flatten_layers()
        if isinstance(layer, keras.layers.TorchModuleWrapper)
    ]
    for wrapper in wrappers:
        # Python finds this first; PyTorch keeps the module itself elsewhere.
        vars(wrapper)["module"] = _with_scoped_values(wrapper)
    try:
        yield
    finally:
        for wrapper in wrappers:
            del vars(wrapper)["module"]


def _with_scoped_values(wrapper):
    """Returns the module as a function of its inputs."""
    import torch

    module, values = wrapper.module, {id(v._value): v.value for v in wrapper.variables}
    values = {
        name: values[id(parameter)]
        for name, parameter in module.named_parameters()
        if id(parameter) in values
    }
    return lambda *args, **kwargs: torch.func.functional_call(
        module, values, args, kwargs
    )
