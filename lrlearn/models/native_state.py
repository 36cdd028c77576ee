"""State outside of Keras variables: the backend's own, and Python attributes."""

import contextlib
import inspect
import itertools

import keras

_READS = ("ReadVariableOp", "ResourceGather", "ResourceGatherNd", "VariableShape")


class NativeState:
    """State of a model, its losses and its metrics that is in no Keras variable.

    It consists of Python attributes, such as a counter; on TensorFlow of each
    `tf.Variable` that a pass would write, and so of each `tf.random.Generator`; on
    PyTorch of tensors that are attributes, buffers of wrapped modules, and the random
    number generator.

    Under `run_eagerly` or several replicas, a `tf.Variable` is seen only if an
    attribute holds it, or if a function that is an attribute names it.

    Args:
        model: A compiled `keras.Model`.
        run: Function without arguments that runs a pass; TensorFlow may trace it.
    """

    def __init__(self, model, run):
        self._owners = [
            owner
            for owner in [
                *model._flatten_layers(),
                *_contents(model.loss),
                *model.metrics,
            ]
            if hasattr(owner, "__dict__")
        ]
        with self._attributes_kept():
            self._store = _STORES[keras.backend.backend()](self._attributes(), run)
        self._before = self._store.read()

    @contextlib.contextmanager
    def undone(self):
        """Context in which the state is that of the start; on exit it is restored."""
        now = self._store.read()
        self._store.write(self._before)
        try:
            with self._attributes_kept():
                yield
        finally:
            self._store.write(now)

    @contextlib.contextmanager
    def _attributes_kept(self):
        before = [dict(vars(owner)) for owner in self._owners]
        try:
            yield
        finally:
            for owner, values in zip(self._owners, before, strict=True):
                vars(owner).clear()
                vars(owner).update(values)

    def _attributes(self):
        """Returns the values of all attributes, also those in lists and dicts."""
        values = [_contents(vars(owner)) for owner in self._owners]
        return list({id(value): value for value in itertools.chain(*values)}.values())


class _TensorFlow:
    """Values of TensorFlow's variables, by their handles."""

    def __init__(self, attributes, run):
        import tensorflow as tf

        self._tf = tf
        if tf.executing_eagerly() or tf.distribute.has_strategy():
            self._handles = self._held_by(attributes)
        else:
            self._handles = self._written_by(run)

    def read(self):
        read = self._tf.raw_ops.ReadVariableOp
        return [read(resource=handle, dtype=dtype) for handle, dtype in self._handles]

    def write(self, values):
        for (handle, _), value in zip(self._handles, values, strict=True):
            self._tf.raw_ops.AssignVariableOp(resource=handle, value=value)

    def _held_by(self, attributes):
        """Returns the handles and types of variables that attributes refer to."""
        tf, found = self._tf, {}
        functions = filter(inspect.isfunction, attributes)
        for value in [*attributes, *(v for f in functions for v in _names_in(f))]:
            value = value.state if isinstance(value, tf.random.Generator) else value
            if isinstance(value, tf.Variable):
                found[id(value)] = value.handle, value.dtype
        return list(found.values())

    def _written_by(self, run):
        """Traces a pass into a graph that is thrown away."""
        graph = self._tf.__internal__.FuncGraph("scratch")
        with graph.as_default():
            run()
        inside = {
            id(tensor)
            for operation in graph.get_operations()
            if operation.type not in _READS
            for tensor in operation.inputs
        }
        return [
            (outer, dtype)
            for outer, inner in graph.captures
            if id(inner) in inside and (dtype := _dtype_of_variable(outer)) is not None
        ]


class _Torch:
    """Values of PyTorch's tensors, and the state of its random numbers."""

    def __init__(self, attributes, run):
        import torch

        self._torch = torch
        wrapped = [
            a
            for a in attributes
            if isinstance(a, torch.nn.Module) and not isinstance(a, keras.layers.Layer)
        ]
        tensors = [*attributes, *(b for module in wrapped for b in module.buffers())]
        self._tensors = [
            t
            for t in tensors
            if isinstance(t, torch.Tensor) and not isinstance(t, torch.nn.Parameter)
        ]

    def read(self):
        values = [t.detach().clone() for t in self._tensors]
        return self._torch.get_rng_state(), values

    def write(self, state):
        random, values = state
        self._torch.set_rng_state(random)
        for tensor, value in zip(self._tensors, values, strict=True):
            # `data`, since autograd forbids changes between two passes.
            tensor.data.copy_(value)


class _Nothing:
    """JAX has no state of its own."""

    def __init__(self, attributes, run):
        pass

    def read(self):
        return None

    def write(self, values):
        pass


_STORES = {"tensorflow": _TensorFlow, "torch": _Torch, "jax": _Nothing}


def _contents(value):
    """Returns the elements of a container, recursively; `[value]` if it is none."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple | set):
        return [item for part in value for item in _contents(part)]
    return [value]


def _names_in(function):
    """Returns the values of a function's nonlocal and global names."""
    names = inspect.getclosurevars(function)
    return [*names.nonlocals.values(), *names.globals.values()]


def _dtype_of_variable(handle):
    """Returns the type of a variable's values; `None` if it is no variable."""
    data = getattr(handle, "_handle_data", None)
    return data.shape_and_type[0].dtype if data is not None and data.is_set else None
