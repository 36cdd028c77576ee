"""Descriptions that tell tasks, optimizers and arrays apart, as JSON types."""

import json
import zlib

import numpy as np


def digest(arrays):
    """Returns a checksum of a list of arrays."""
    checksum = 0
    for array in arrays:
        checksum = zlib.crc32(np.ascontiguousarray(array).data, checksum)
    return checksum


def describe_task(task):
    """Returns a description of a `Task`: of its data, model and loss."""
    splits = {"train": task.train, "validation": task.validation}
    splits = {name: arrays for name, arrays in splits.items() if arrays}
    layers = json.dumps([describe(layer) for layer in _layers(task.model)])
    described = {
        "name": task.name,
        "num_params": task.num_params,
        "batch_size": task.batch_size,
        "input_shape": list(task.train[0].shape[1:]),
        "examples": {name: len(arrays[0]) for name, arrays in splits.items()},
        "data": {name: digest(arrays) for name, arrays in splits.items()},
        "model": zlib.crc32(layers.encode()),
        "loss": describe(task.loss),
    }
    # Not all are in the config of a layer.
    constraints = [v.constraint for v in task.variables(task.model)[0]]
    if any(constraints):
        described["constraints"] = [c and describe(c) for c in constraints]
    return described


def describe(part):
    """Returns the class and the arguments of a layer, loss or optimizer of Keras.

    Names are left out: Keras numbers those that are made in one process. A dtype policy
    keeps its name, which is all that it has.
    """
    try:
        config = part.get_config()
    except (AttributeError, NotImplementedError):
        config = {}
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
