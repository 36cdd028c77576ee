"""Where presets are found: built in, in `LRLEARN_HOME`, in a directory, at a URL."""

import os
from pathlib import Path

from lrlearn.optimizers.preset_archive import Archive
from lrlearn.optimizers.preset_folder import Folder
from lrlearn.optimizers.preset_format import CONFIG

_BUILT_IN = Path(__file__).parent / "presets"


def home():
    """Returns the directory of the user's presets, `$LRLEARN_HOME` or `~/.lrlearn`."""
    folder = os.environ.get("LRLEARN_HOME") or os.path.join("~", ".lrlearn")
    return Path(os.path.expanduser(folder))


def built_in():
    """Returns the built-in presets' `{name: Folder}`, sorted."""
    return _folders(_BUILT_IN)


def named():
    """Returns `{name: Folder}`: the built-in ones, and those in `home`."""
    own = built_in()
    return own | {n: f for n, f in _folders(home()).items() if n not in own}


def find(identifier):
    """Returns a preset's source: `read(name)` reads a file, `str` says where it is.

    Args:
        identifier: A name, a directory or a URL, tried in this order.

    Raises:
        ValueError: If there is no such preset, or it cannot be downloaded.
    """
    if isinstance(identifier, str) and identifier in named():
        return named()[identifier]
    if isinstance(identifier, str | os.PathLike) and Path(identifier).is_dir():
        return Folder(identifier)
    if isinstance(identifier, str) and "://" in identifier:
        return Archive(identifier, home() / "downloads")
    raise ValueError(
        f"A preset must be a directory, a URL or one of {list(named())}. Received: "
        f"{identifier!r}"
    )


def _folders(directory):
    return {
        p.parent.name: Folder(p.parent) for p in sorted(directory.glob(f"*/{CONFIG}"))
    }
