"""PyTorch modules inside of Keras layers."""

import contextlib

import keras


@contextlib.contextmanager
def scoped(model):
    """Lets wrapped PyTorch modules compute with the values of the scope around.

    They read their parameters themselves, and not by Keras's variables.

    Args:
        model: A Keras model.
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
        # Found before the module, which PyTorch keeps elsewhere.
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
