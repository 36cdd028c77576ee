"""Presets: an update rule and its trained weights, as files.

A preset is a directory of three files that hold JSON, arrays and text, never code:

- `config.json`: `format_version`, `description`, `rule` (`class_name` and `config`),
  `metadata` (a free dict: tasks, regularizer, horizon, seed, licence and so on) and
  `theta_sha256`, the hash of
- `theta.safetensors`: the weights, float32;
- `README.md`: a model card, written from the metadata. It may be edited and is never
  read; saving again writes it anew.

`LearnedOptimizer.from_preset` takes, in this order, the name of a built-in preset, the
name of a directory in `$LRLEARN_HOME` (default `~/.lrlearn`), a directory, or the URL
of a zip file with its hash. `LearnedOptimizer.presets` lists the first two. To publish
a preset, pack it and put the zip file on any web server:

    trainer.save_to_preset("mine", description="...", licence="...")
    lrlearn.optimizers.presets.pack_preset("mine")  # "mine.zip#sha256=5ae4..."

Others then use `from_preset("https://.../mine.zip#sha256=5ae4...")`; a URL must be
https, http or file. Downloads are kept in `$LRLEARN_HOME/downloads`, by hash. Any zip
file of `config.json` and `theta.safetensors`, in no folder, will do, and `sha256sum`
gives its hash.

Loading runs no code of a preset and takes little memory: larger files are not read.
The arrays' names, types and shapes must be those of the rule.
"""

import difflib
import os
from pathlib import Path

import numpy as np

from lrlearn.optimizers import preset_format
from lrlearn.optimizers.preset_card import card
from lrlearn.optimizers.preset_files import Directory, Download, pack
from lrlearn.optimizers.preset_format import CARD, CONFIG, THETA

_BUILT_IN = Path(__file__).parent / "presets"


def describe():
    """Returns `{name: {"description": ..., **metadata}}` of the presets with a name."""
    return {name: _describe(directory) for name, directory in _named().items()}


def built_in():
    """Returns the directories of the built-in presets by name."""
    return {name: directory.path for name, directory in _inside(_BUILT_IN).items()}


def load_preset(identifier):
    """Returns the rule, the weights and the metadata of a preset.

    Args:
        identifier: A name in `LearnedOptimizer.presets`, a directory, or the URL of a
            zip file that ends with `#sha256=` and the file's hash.

    Returns:
        A tuple `(rule, theta, metadata)`; the metadata hold a `"description"`.

    Raises:
        ValueError: If there is no such preset, it cannot be downloaded, its files are
            broken, of a newer format, or do not fit each other, or its rule does not
            run on the Keras backend.

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
    source = _find(identifier)
    try:
        config = preset_format.decode_config(source.read(CONFIG))
        rule = preset_format.decode_rule(config)
        theta = preset_format.decode_theta(source.read(THETA), config, rule)
    except ValueError as error:
        raise ValueError(f"Preset {source}: {error}") from None
    return rule, theta, preset_format.decode_metadata(config)


def save_preset(directory, rule, theta, metadata=None):
    """Writes a preset; if this fails, the directory stays as it was.

    After meta-training, `MetaTrainer.save_to_preset` calls this with the recipe.

    Args:
        directory: Path of the preset. A preset that is there is replaced, with its
            README.md; a directory with any other file is refused.
        rule: An `UpdateRule` registered with Keras.
        theta: Its weights, a dict of names to arrays.
        metadata: JSON-able dict, from which the model card is written. The card shows
            `"description"`, what `preset_card.recipe` returns, `"results"` and
            `"cost"`, each a dict of a sentence `"about"` and `"rows"`, a list of dicts
            from columns to values, `"limits"`, a list of sentences, `"command"`,
            `"commit"`, `"date"`, `"versions"` and `"licence"`. Defaults to `None`.

    Raises:
        ValueError: If `theta` does not fit the rule or is not finite, the rule is
            not registered, `metadata` is no JSON-able dict or its `"description"` no
            string, or the directory holds other files.
    """
    metadata = {} if metadata is None else metadata
    files = preset_format.encode(rule, theta, metadata)
    text = card(Path(directory).absolute().name, rule, metadata)
    Directory(directory).write({**files, CARD: text.encode()})


def pack_preset(directory):
    """Packs a preset to be published, as `<directory>.zip`.

    Args:
        directory: Path of the preset.

    Returns:
        The file's name with its hash, such as `"mine.zip#sha256=5ae4..."`: the end of
        the preset's URL.

    Raises:
        ValueError: If it is no preset, or one that cannot be loaded.

    Example:
        >>> import tempfile
        >>> import lrlearn
        >>> from lrlearn.optimizers.presets import pack_preset
        >>> optimizer = lrlearn.LearnedOptimizer.from_preset("lo_sam")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     optimizer.save_to_preset(f"{folder}/mine")
        ...     url = f"file://{folder}/{pack_preset(f'{folder}/mine')}"
        >>> url
        'file:///.../mine.zip#sha256=...'
    """
    path = Path(directory).absolute()
    load_preset(path)
    files = {name: (path / name).read_bytes() for name in (CONFIG, THETA)}
    if (path / CARD).is_file():
        files[CARD] = (path / CARD).read_bytes()
    path = path.with_name(f"{path.name}.zip")
    return f"{path.name}#sha256={pack(path, files)}"


def theta_of(name, rule):
    """Returns the weights of a built-in preset, `None` if it is not of this rule."""
    if name not in list(built_in()):
        return None
    preset_rule, theta, _ = load_preset(name)
    same = type(preset_rule) is type(rule)
    return theta if same and preset_rule.get_config() == rule.get_config() else None


def name_of(rule, theta):
    """Returns the name of the built-in preset of these weights, `None` if of none."""
    for name in built_in():
        own = theta_of(name, rule)
        if own and all(np.array_equal(theta[key], own[key]) for key in own):
            return name
    return None


def _find(identifier):
    """Returns the `Directory` or the `Download` of a preset."""
    named, is_text = _named(), isinstance(identifier, str)
    if is_text and identifier in named:
        return named[identifier]
    if isinstance(identifier, str | os.PathLike) and Path(identifier).is_dir():
        return Directory(identifier)
    if is_text and "://" in identifier:
        return Download(identifier, _home() / "downloads")
    near = difflib.get_close_matches(identifier, named, n=1) if is_text else []
    hint = f". Did you mean {near[0]!r}?" if near else ""
    raise ValueError(
        f"A preset must be a directory, a URL or one of {list(named)}. Received: "
        f"{identifier!r}{hint}"
    )


def _named():
    """Returns the built-in presets, then the user's, a dict of `Directory`s."""
    own = _inside(_BUILT_IN)
    return own | {n: d for n, d in _inside(_home()).items() if n not in own}


def _home():
    return Path(os.environ.get("LRLEARN_HOME") or "~/.lrlearn").expanduser()


def _inside(folder):
    paths = sorted(path.parent for path in folder.glob(f"*/{CONFIG}"))
    return {path.name: Directory(path) for path in paths}


def _describe(directory):
    try:
        config = preset_format.decode_config(directory.read(CONFIG))
    except ValueError as error:
        # One that is broken must not hide the others.
        return {"description": f"Cannot be read: {error}"}
    return preset_format.decode_metadata(config)
