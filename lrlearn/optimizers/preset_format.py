"""The contents of a preset's files as bytes: JSON and arrays, never code."""

import hashlib
import json

import safetensors.numpy
from keras.saving import get_registered_name, get_registered_object
from safetensors import SafetensorError

from lrlearn.rules import UpdateRule

CONFIG, THETA, CARD = "config.json", "theta.safetensors", "README.md"
FORMAT_VERSION = 1
# In bytes, far more than any rule needs: nothing larger is read.
LIMITS = {CONFIG: 2**20, THETA: 2**24}


def encode(rule, theta, metadata):
    """Returns `{file name: bytes}`; raises a `ValueError` if it could not be loaded."""
    class_name = _class_name(rule)
    weights = safetensors.numpy.save(rule.standardize_theta(theta))
    if not isinstance(metadata, dict):
        raise ValueError(
            f"`metadata` must be a dict. Received: {type(metadata).__name__}"
        )
    config = {
        "format_version": FORMAT_VERSION,
        "description": metadata.get("description", ""),
        "rule": {"class_name": class_name, "config": rule.get_config()},
        "theta_sha256": hashlib.sha256(weights).hexdigest(),
        "metadata": {k: v for k, v in metadata.items() if k != "description"},
    }
    files = {CONFIG: _encode_config(config), THETA: weights}
    for file, content in files.items():
        check_size(file, content)
    decode_config(files[CONFIG])
    return files


def check_size(name, content):
    """Raises a `ValueError` if a file's content is larger than `LIMITS[name]`."""
    if len(content) > LIMITS[name]:
        raise ValueError(
            f"{name} must have at most {LIMITS[name]} bytes. Received: more"
        )


def decode_config(content):
    """Returns the dict in a `config.json`; see `encode`."""
    config = _json(content)
    version = config.get("format_version")
    if type(version) is not int or not 1 <= version <= FORMAT_VERSION:
        raise ValueError(
            f"{CONFIG} must have a `format_version` from 1 to {FORMAT_VERSION} (a "
            f"newer one needs a newer lrlearn). Received: {version!r}"
        )
    for key, kind in (("description", str), ("rule", dict), ("metadata", dict)):
        if not isinstance(config.get(key), kind):
            raise ValueError(
                f"{CONFIG} must have a `{key}` of type {kind.__name__}. "
                f"Received: {config.get(key)!r}"
            )
    return config


def decode_metadata(config):
    """Returns the metadata of a decoded config, with the `"description"`."""
    return {"description": config["description"], **config["metadata"]}


def decode_rule(config):
    """Returns the rule of a decoded config."""
    class_name = config["rule"].get("class_name")
    # Only registered classes: a preset never names code to import.
    cls = get_registered_object(class_name) if isinstance(class_name, str) else None
    if not (isinstance(cls, type) and issubclass(cls, UpdateRule)):
        raise ValueError(
            f"The rule in {CONFIG} must be of a class of update rules that is "
            f"registered with Keras. Received: {class_name!r}"
        )
    try:
        rule = cls.from_config(config["rule"].get("config"))
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(
            f"The rule in {CONFIG} must have a config of {class_name}. "
            f"Received: {error}"
        ) from None
    rule.check_backend()
    return rule


def decode_theta(content, config, rule):
    """Returns the weights in a `theta.safetensors`, checked against config and rule."""
    if hashlib.sha256(content).hexdigest() != config.get("theta_sha256"):
        raise ValueError(
            f"{THETA} must be the file that {CONFIG} was written with. Received: "
            "another one, or a damaged or truncated copy"
        )
    try:
        theta = safetensors.numpy.load(content)
    except (SafetensorError, KeyError, ValueError) as error:
        raise ValueError(f"{THETA} must be safetensors. Received: {error}") from None
    wrong = [name for name, value in theta.items() if value.dtype != "float32"]
    if wrong:
        raise ValueError(f"{THETA} must hold float32. Received: others in {wrong}")
    return rule.standardize_theta(theta)


def _encode_config(config):
    try:
        return f"{json.dumps(config, indent=2)}\n".encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(
            f"`metadata` and the rule's config must be JSON-able. Received: {error}"
        ) from None


def _json(content):
    try:
        value = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{CONFIG} must be valid JSON. Received: {error}") from None
    if not isinstance(value, dict):
        raise ValueError(
            f"{CONFIG} must be a JSON object. Received: a {type(value).__name__}"
        )
    return value


def _class_name(rule):
    name = get_registered_name(type(rule))
    if get_registered_object(name) is not type(rule):
        raise ValueError(
            "`rule` must be of a class decorated with "
            f"`keras.saving.register_keras_serializable()`. Received: {rule}"
        )
    return name
