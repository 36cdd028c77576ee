"""A preset as a directory."""

import tempfile
from pathlib import Path

from lrlearn.optimizers.preset_format import (
    CARD,
    CONFIG,
    THETA,
    decode_config,
    read_limited,
)


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
        """Writes files; a preset that is there is replaced.

        Where this fails, what was there stays. Where the process is killed just between
        the two renames, nothing is there, and both presets are in a `.preset-*` beside.

        Args:
            files: Dict of names to contents, as bytes.
        """
        path = self.path.absolute()
        self._check_replaceable()
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".preset-") as tmp:
            new = Path(tmp) / "new"
            new.mkdir()
            for name, content in files.items():
                (new / name).write_bytes(content)
            _swap(new, path, Path(tmp) / "old")

    def _check_replaceable(self):
        if not self.path.exists():
            return
        if not self.path.is_dir():
            raise ValueError(f"`directory` must not be a file. Received: {self.path}")
        names = {file.name for file in self.path.iterdir()}
        others = names - {CONFIG, THETA, CARD}
        if others or (names and not self._is_preset()):
            raise ValueError(
                f"`directory` must be new, empty or a preset. Received: {self.path}, "
                f"which holds {sorted(others or names)[:3]}"
            )

    def _is_preset(self):
        # Others, too, have a config.json or a README.md.
        try:
            decode_config(self.read(CONFIG))
        except ValueError:
            return False
        return (self.path / THETA).is_file()


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
