"""Presets: an update rule and its trained weights, as files.

A preset is a directory of two files that hold JSON and arrays, never code:

- `config.json`: `format_version`, `description`, `rule` (`class_name` and `config`),
  `metadata` (a free dict: training tasks, regularizer, seed, licence and so on) and
  `theta_sha256`, which ties it to
- `theta.safetensors`: the weights, float32.
"""

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import safetensors.numpy
from keras.saving import get_registered_name, get_registered_object
from safetensors import SafetensorError

from lrlearn.rules import UpdateRule

FORMAT_VERSION = 1
_BUILT_IN = Path(__file__).parent / "presets"
_CONFIG, _THETA = "config.json", "theta.safetensors"


def names():
    """Returns the sorted names of the built-in presets."""
    return sorted(path.parent.name for path in _BUILT_IN.glob(f"*/{_CONFIG}"))


def describe():
    """Returns `{name: {"description": ..., **metadata}}` of the built-in presets."""
    return {name: _metadata(_read_config(_BUILT_IN / name)) for name in names()}


def load_preset(identifier):
    """Returns the rule, the weights and the metadata of a preset.

    Args:
        identifier: A built-in name, or a directory.

    Returns:
        A tuple `(rule, theta, metadata)`; the metadata hold a `"description"`.

    Raises:
        ValueError: If there is no such preset, or its files are broken, of a newer
            format, or do not fit each other.

    Example:
        >>> import tempfile
        >>> import lrlearn
        >>> from lrlearn.optimizers.presets import load_preset, save_preset
        >>> rule = lrlearn.rules.CoordinatewiseLSTM(units=(4,))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save_preset(f"{folder}/mine", rule, rule.init_theta(), {"seed": 0})
        ...     _, theta, metadata = load_preset(f"{folder}/mine")
        >>> metadata
        {'description': '', 'seed': 0}
    """
    directory = _resolve(identifier)
    config = _read_config(directory)
    rule = _read_rule(config["rule"], directory)
    return rule, _read_theta(directory, config, rule), _metadata(config)


def save_preset(directory, rule, theta, metadata=None):
    """Writes a preset, whole or not at all.

    Args:
        directory: Where to; a preset that is already there is replaced, any other
            files are left alone and refused.
        rule: An `UpdateRule` registered with Keras.
        theta: Its weights, a dict of names to arrays.
        metadata: JSON-able dict of what to remember; `"description"` should say in a
            line what the preset is. Defaults to `None`.

    Raises:
        ValueError: If `theta` does not fit the rule or is not finite, the rule is
            not registered, or the directory holds other files.
    """
    directory = Path(directory).absolute()
    theta = checked_theta(rule, theta)
    _check_replaceable(directory)
    weights = safetensors.numpy.save(theta)
    config = json.dumps(_config(rule, weights, metadata or {}), indent=2)
    directory.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=directory.parent, prefix=".preset-") as tmp:
        new = Path(tmp) / "new"
        new.mkdir()
        (new / _CONFIG).write_text(config + "\n", encoding="utf-8")
        (new / _THETA).write_bytes(weights)
        _swap(new, directory, Path(tmp) / "old")


def checked_theta(rule, theta):
    """Returns `theta` as float32 arrays in a fixed order.

    Args:
        rule: An `UpdateRule`.
        theta: Dict of names to arrays.

    Raises:
        ValueError: If it does not fit the rule or is not finite.
    """
    if not isinstance(theta, Mapping):
        raise ValueError(
            "`theta` must be a dict of names to arrays. Received: "
            f"{type(theta).__name__}"
        )
    rule.check_theta(theta)
    with np.errstate(over="ignore"):
        theta = {n: np.array(theta[n], "float32", order="C") for n in sorted(theta)}
    wrong = [name for name, value in theta.items() if not np.isfinite(value).all()]
    if wrong:
        raise ValueError(f"`theta` must be finite. Received: NaN or inf in {wrong}")
    return theta


def theta_of(name, rule):
    """Returns the weights of a built-in preset, `None` if it is not of this rule."""
    if name not in names():
        return None
    preset_rule, theta, _ = load_preset(name)
    same = type(preset_rule) is type(rule)
    return theta if same and preset_rule.get_config() == rule.get_config() else None


def _resolve(identifier):
    if identifier in names():
        return _BUILT_IN / identifier
    if not isinstance(identifier, str | os.PathLike) or not Path(identifier).is_dir():
        raise ValueError(
            f"A preset must be a directory or one of {names()}. Received: "
            f"{identifier!r}"
        )
    return Path(identifier)


def _config(rule, weights, metadata):
    metadata = dict(metadata)
    class_name = get_registered_name(type(rule))
    if get_registered_object(class_name) is not type(rule):
        raise ValueError(
            "`rule` must be of a class decorated with "
            f"`keras.saving.register_keras_serializable()`. Received: {rule}"
        )
    return {
        "format_version": FORMAT_VERSION,
        "description": metadata.pop("description", ""),
        "rule": {"class_name": class_name, "config": rule.get_config()},
        "theta_sha256": hashlib.sha256(weights).hexdigest(),
        "metadata": metadata,
    }


def _check_replaceable(directory):
    if not directory.exists():
        return
    if not directory.is_dir():
        raise ValueError(f"`directory` must not be a file. Received: {directory}")
    others = sorted({path.name for path in directory.iterdir()} - {_CONFIG, _THETA})
    if others:
        raise ValueError(
            "`directory` must be new, empty or a preset. Received: "
            f"{directory}, which holds {others[:3]}"
        )


def _swap(new, directory, old):
    """Puts `new` in the place of `directory`, which goes to `old`."""
    if directory.exists():
        directory.rename(old)
    try:
        new.rename(directory)
    except BaseException:
        if old.exists():
            old.rename(directory)
        raise


def _read(directory, name):
    try:
        return (directory / name).read_bytes()
    except OSError as error:
        raise ValueError(
            f"A preset must hold a readable {name}. Received: {directory} "
            f"({error.strerror})"
        ) from None


def _read_config(directory):
    content = _read(directory, _CONFIG)
    try:
        config = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"{directory / _CONFIG} must be valid JSON. Received: {error}"
        ) from None
    version = config.get("format_version") if isinstance(config, dict) else None
    if type(version) is not int or not 1 <= version <= FORMAT_VERSION:
        raise ValueError(
            f"{directory / _CONFIG} must have a `format_version` from 1 to "
            f"{FORMAT_VERSION} (a newer one needs a newer lrlearn). "
            f"Received: {version!r}"
        )
    for key, kind in (("description", str), ("rule", dict), ("metadata", dict)):
        if not isinstance(config.get(key), kind):
            raise ValueError(
                f"{directory / _CONFIG} must have a `{key}` of type {kind.__name__}. "
                f"Received: {config.get(key)!r}"
            )
    return config


def _read_rule(config, directory):
    # Only classes that someone registered: a preset never names code to import.
    known = {get_registered_name(cls): cls for cls in _subclasses(UpdateRule)}
    known = {name: c for name, c in known.items() if get_registered_object(name) is c}
    class_name = config.get("class_name")
    if class_name not in sorted(known):
        raise ValueError(
            f"The rule of {directory / _CONFIG} must be one of {sorted(known)}. "
            f"Received: {class_name!r}"
        )
    try:
        return known[class_name].from_config(config.get("config"))
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{directory / _CONFIG} must hold a config of {class_name}. "
            f"Received: {error}"
        ) from None


def _read_theta(directory, config, rule):
    content = _read(directory, _THETA)
    if hashlib.sha256(content).hexdigest() != config.get("theta_sha256"):
        raise ValueError(
            f"{directory / _THETA} must be the file that {_CONFIG} was written with. "
            "Received: another one, or a damaged or truncated copy"
        )
    try:
        return checked_theta(rule, safetensors.numpy.load(content))
    except (SafetensorError, ValueError) as error:
        raise ValueError(f"{directory / _THETA}: {error}") from None


def _metadata(config):
    return {"description": config["description"], **config["metadata"]}


def _subclasses(cls):
    return [c for sub in cls.__subclasses__() for c in (sub, *_subclasses(sub))]
