"""Presets: an update rule and its trained weights, as files.

A preset is a directory of three files that hold JSON, arrays and text, never code:

- `config.json`: `format_version`, `description`, `rule` (`class_name` and `config`),
  `metadata` (a free dict: tasks, teacher, horizon, seed, licence and so on) and
  `theta_sha256`, which ties it to
- `theta.safetensors`: the weights, float32;
- `README.md`: a model card, written from the metadata. It may be edited and is never
  read; saving again writes it anew.

`LearnedOptimizer.from_preset` takes, in this order, the name of a built-in preset, the
name of a directory in `$LRLEARN_HOME` (default `~/.lrlearn`), a directory, or the URL
of a zip file with its hash. `LearnedOptimizer.presets` lists the first two. To publish
a preset, pack it and put the zip file on any web server:

    optimizer.save_to_preset("mine", {"description": "...", "licence": "..."})
    lrlearn.optimizers.presets.pack_preset("mine")  # "mine.zip#sha256=5ae4..."

Others then use `from_preset("https://.../mine.zip#sha256=5ae4...")`; a URL must be
https, http or file. Downloads are kept in `$LRLEARN_HOME/downloads`, by hash. Any zip
file of `config.json` and `theta.safetensors`, in no folder, will do, and `sha256sum`
gives its hash.

Whatever a preset holds, loading it runs no code of it and takes little memory: sizes,
names, types and shapes are checked before any weight is loaded.
"""

from pathlib import Path

from lrlearn.optimizers import preset_format, preset_source
from lrlearn.optimizers.preset_archive import write_archive
from lrlearn.optimizers.preset_card import card
from lrlearn.optimizers.preset_folder import Folder
from lrlearn.optimizers.preset_format import CARD, CONFIG, THETA


def describe():
    """Returns `{name: {"description": ..., **metadata}}` of the presets with a name."""
    return {name: _describe(source) for name, source in preset_source.named().items()}


def is_built_in(name):
    """Returns whether this is the name of a built-in preset."""
    return name in list(preset_source.built_in())


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
    source = preset_source.find(identifier)
    try:
        config = preset_format.decode_config(source.read(CONFIG))
        rule = preset_format.decode_rule(config)
        theta = preset_format.decode_theta(source.read(THETA), config, rule)
    except ValueError as error:
        raise ValueError(f"Preset {source}: {error}") from None
    return rule, theta, preset_format.decode_metadata(config)


def save_preset(directory, rule, theta, metadata=None):
    """Writes a preset; where this fails, what was there stays.

    Args:
        directory: Where to; a preset that is already there is replaced with its
            README.md, any other files are left alone and refused.
        rule: An `UpdateRule` registered with Keras.
        theta: Its weights, a dict of names to arrays.
        metadata: JSON-able dict of what to remember, from which the model card is
            written; see `lrlearn.optimizers.preset_card`. Defaults to `None`.

    Raises:
        ValueError: If `theta` does not fit the rule or is not finite, the rule is
            not registered, `metadata` is no JSON-able dict or its `"description"` no
            string, or the directory holds other files.
    """
    metadata = {} if metadata is None else metadata
    files = preset_format.encode(rule, theta, metadata)
    text = card(Path(directory).absolute().name, rule, metadata)
    Folder(directory).write({**files, CARD: text.encode()})


def pack_preset(directory):
    """Packs a preset to be published, as `<directory>.zip`.

    Args:
        directory: Of the preset.

    Returns:
        The file's name with its hash, such as `"mine.zip#sha256=5ae4..."`: what a URL
        of the preset ends with.

    Raises:
        ValueError: If it is no preset, or one that cannot be loaded.

    Example:
        >>> import tempfile
        >>> import lrlearn
        >>> from lrlearn.optimizers.presets import pack_preset
        >>> optimizer = lrlearn.LearnedOptimizer.from_preset("mlp_sam")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     optimizer.save_to_preset(f"{folder}/mine")
        ...     url = f"file://{folder}/{pack_preset(f'{folder}/mine')}"
        >>> url
        'file:///.../mine.zip#sha256=...'
    """
    directory = Path(directory).absolute()
    load_preset(directory)
    folder = Folder(directory)
    files = {name: folder.read(name) for name in (CONFIG, THETA)}
    if (directory / CARD).is_file():
        files[CARD] = (directory / CARD).read_bytes()
    path = directory.with_name(f"{directory.name}.zip")
    return f"{path.name}#sha256={write_archive(path, files)}"


def theta_of(name, rule):
    """Returns the weights of a built-in preset, `None` if it is not of this rule."""
    if not is_built_in(name):
        return None
    preset_rule, theta, _ = load_preset(name)
    same = type(preset_rule) is type(rule)
    return theta if same and preset_rule.get_config() == rule.get_config() else None


def _describe(source):
    try:
        config = preset_format.decode_config(source.read(CONFIG))
    except ValueError as error:
        # One that is broken must not hide the others.
        return {"description": f"Cannot be read: {error}"}
    return preset_format.decode_metadata(config)
