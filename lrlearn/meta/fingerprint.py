"""What a checkpoint directory remembers of a run's parts, as JSON types."""

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
    """Returns what tells a `Task` from others: its data, model and loss."""
    splits = {"train": task.train, "validation": task.validation}
    return {
        "name": task.name,
        "num_params": task.num_params,
        "batch_size": task.batch_size,
        "data": {k: digest(arrays) for k, arrays in splits.items() if arrays},
        "model": _checksum([_describe(layer) for layer in _layers(task.model)]),
        "loss": _checksum(_describe(task.loss)),
    }


def describe_optimizer(optimizer):
    """Returns the class and the arguments of a Keras optimizer."""
    return _describe(optimizer)


def _layers(layer):
    inner = getattr(layer, "layers", None)
    return [leaf for each in inner for leaf in _layers(each)] if inner else [layer]


def _describe(part):
    try:
        config = part.get_config()
    except (AttributeError, NotImplementedError):
        config = {}
    name = getattr(part, "__name__", type(part).__name__)
    return {"class": name, "config": _without_names(config)}


def _without_names(config):
    # Keras numbers the names of what is made in one process.
    if isinstance(config, dict):
        return {k: _without_names(v) for k, v in config.items() if k != "name"}
    if isinstance(config, list | tuple):
        return [_without_names(value) for value in config]
    return config


def _checksum(config):
    text = json.dumps(config, sort_keys=True, default=lambda x: type(x).__name__)
    return zlib.crc32(text.encode())
