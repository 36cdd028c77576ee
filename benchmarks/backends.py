"""What a measurement must know of Keras's backends.

Only the backend that Keras runs on is imported.
"""

import importlib.metadata
import importlib.util
import sys

import keras

NAMES = ("tensorflow", "jax", "torch")


def without_missing(names):
    """Returns the names without backends that are not installed; says which are not."""
    missing = [n for n in names if n in NAMES and importlib.util.find_spec(n) is None]
    for name in missing:
        print(f"{name} is not installed: it is left out.", file=sys.stderr)
    return [name for name in names if name not in missing]


def versions(names):
    """Returns the versions of installed backends, a dict."""
    return {name: importlib.metadata.version(name) for name in names}


def use_one_thread():
    """Keeps this process's operations on one thread; call it before the first."""
    if _is("tensorflow"):
        import tensorflow as tf

        tf.config.threading.set_inter_op_parallelism_threads(1)
        tf.config.threading.set_intra_op_parallelism_threads(1)
    if _is("torch"):
        import torch

        torch.set_num_threads(1)


def jit_compile(xla=False):
    """Returns `jit_compile` of `compile`: JAX always compiles, PyTorch is eager.

    Args:
        xla: Whether TensorFlow compiles with XLA. Defaults to `False`.
    """
    return _is("jax") or xla


def repeat(batch, steps):
    """Returns data for `fit` that cost next to nothing, one batch again and again.

    Args:
        batch: A tuple of arrays.
        steps: How often.
    """
    if _is("tensorflow"):
        # There a `PyDataset` costs as much as a third of a small network's step.
        import tensorflow as tf

        return tf.data.Dataset.from_tensors(batch).repeat(steps)
    return _Repeated(batch, steps)


def finish(model):
    """Waits for the step that `fit` has started, from within a callback."""
    if _is("jax"):
        import jax

        # JAX computes in the background, and the values are not yet the variables'.
        model.jax_state_sync()
        jax.block_until_ready([variable.value for variable in model.variables])


def _is(name):
    return keras.backend.backend() == name


class _Repeated(keras.utils.PyDataset):
    def __init__(self, batch, steps):
        super().__init__()
        self._batch, self._steps = batch, steps

    def __len__(self):
        return self._steps

    def __getitem__(self, index):
        return self._batch
