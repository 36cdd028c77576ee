"""A preset as a directory."""

import tempfile
from pathlib import Path

from lrlearn.optimizers.preset_format import CARD, CONFIG, THETA, read_limited


class Folder:
    """A preset's directory.

    Args:
        path: Where it is.
    """

    def __init__(self, path):
        self.path = Path(path)

    def __str__(self):
        return str(self.path)

    def read(self, name):
        """Returns the content of a file; see `read_limited`."""
        path = self.path / name
        if not path.is_file():
            raise ValueError(f"A preset must hold a file {name}. Received: none")
        try:
            with open(path, "rb") as file:
                return read_limited(file, name)
        except OSError as error:
            raise ValueError(
                f"A preset must hold a readable {name}. Received: {error.strerror}"
            ) from None

    def write(self, files):
        """Writes files, all or none; a preset that is there is replaced.

        Args:
            files: Dict of names to contents, as bytes.
        """
        path = self.path.absolute()
        _check_replaceable(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".preset-") as tmp:
            new = Path(tmp) / "new"
            new.mkdir()
            for name, content in files.items():
                (new / name).write_bytes(content)
            _swap(new, path, Path(tmp) / "old")


def _check_replaceable(path):
    if not path.exists():
        return
    if not path.is_dir():
        raise ValueError(f"`directory` must not be a file. Received: {path}")
    names = {file.name for file in path.iterdir()}
    # A README.md on its own is not ours.
    others = sorted(names - {CONFIG, THETA, CARD} if CONFIG in names else names)
    if others:
        raise ValueError(
            f"`directory` must be new, empty or a preset. Received: {path}, which "
            f"holds {others[:3]}"
        )


def _swap(new, path, old):
    """Puts `new` in the place of `path`, which goes to `old`."""
    if path.exists():
        path.rename(old)
    try:
        new.rename(path)
    except BaseException:
        if old.exists():
            old.rename(path)
        raise
