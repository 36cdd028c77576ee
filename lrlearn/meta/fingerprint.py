"""Descriptions that tell tasks, optimizers and arrays apart, as JSON types."""

import functools
import json
import types
import zlib

import numpy as np
import tensorflow as tf

from lrlearn.functions import name_of
from lrlearn.tasks.metrics import accuracy


def digest(arrays):
    """Returns a checksum of a list of arrays."""
    checksum = 0
    for array in arrays:
        checksum = zlib.crc32(np.ascontiguousarray(array).data, checksum)
    return checksum


def describe_task(task):
    """Returns a description of a `Task`: of its data, model, loss and metric."""
    splits = {"train": task.train, "validation": task.validation}
    splits = {name: arrays for name, arrays in splits.items() if arrays}
    layers = json.dumps([describe(layer) for layer in _layers(task.model)])
    return {
        "name": task.name,
        "num_params": task.num_params,
        "batch_size": task.batch_size,
        "input_shape": list(task.train[0].shape[1:]),
        "examples": {name: len(arrays[0]) for name, arrays in splits.items()},
        "data": {name: digest(arrays) for name, arrays in splits.items()},
        "model": zlib.crc32(layers.encode()),
        "loss": describe(task.loss),
        **_extras(task),
    }


def _extras(task):
    """Returns what not all tasks have: a metric, batches and constraints of their own.

    A function that draws batches is told by one that it draws.
    """
    extras = {}
    if task.metric is not accuracy:
        extras["metric"] = describe(task.metric)
    if task.batch_fn is not None:
        extras["batches"] = _drawn(task)
    # Not all constraints are in the config of a layer.
    constraints = [v.constraint for v in task.variables(task.model)[0]]
    if any(constraints):
        extras["constraints"] = [c and describe(c) for c in constraints]
    return extras


def _drawn(task):
    with tf.init_scope():
        return digest([a.numpy() for a in task.batch("train", tf.zeros([2], tf.int32))])


def describe(part):
    """Returns the class and the arguments of a layer, loss or optimizer of Keras.

    A function, such as a loss may be, is told by what it does. Names are left out:
    Keras numbers those that are made in one process. A dtype policy keeps its name,
    which is all that it has.
    """
    try:
        config = part.get_config()
    except (AttributeError, NotImplementedError):
        is_function = isinstance(part, types.FunctionType | functools.partial)
        config = {"function": name_of(part)} if is_function else {}
    name = getattr(part, "__name__", type(part).__name__)
    text = json.dumps(config, sort_keys=True, default=lambda x: type(x).__name__)
    return {"class": name, "config": _without_names(json.loads(text))}


def _layers(layer):
    inner = getattr(layer, "layers", None)
    return [leaf for each in inner for leaf in _layers(each)] if inner else [layer]


def _without_names(config):
    if isinstance(config, dict):
        kept = config if config.keys() == {"name"} else config.keys() - {"name"}
        return {k: _without_names(v) for k, v in config.items() if k in kept}
    if isinstance(config, list):
        return [_without_names(value) for value in config]
    return config
