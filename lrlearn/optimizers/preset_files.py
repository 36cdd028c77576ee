"""A preset's files in a directory, or in a zip file at a URL."""

import contextlib
import hashlib
import http.client
import io
import queue
import re
import tempfile
import threading
import urllib.error
import urllib.request
import zipfile
import zlib
from pathlib import Path
from urllib.parse import urldefrag

from lrlearn.files import write_atomically
from lrlearn.optimizers.preset_format import (
    CARD,
    CONFIG,
    LIMITS,
    THETA,
    check_size,
    decode_config,
)

_SCHEMES = ("https://", "http://", "file://")
_ZIP_LIMIT = sum(LIMITS.values())  # bytes
_TIMEOUT = 30  # seconds without a byte
_DEADLINE = 300  # seconds in all: a server may send a byte now and then for years
_BROKEN_ZIP = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    OSError,
    NotImplementedError,  # a compression that Python does not know
    RuntimeError,  # encrypted
)


class Directory:
    """A preset in a directory.

    Args:
        path: Path of the directory.
    """

    def __init__(self, path):
        self.path = Path(path)

    def __str__(self):
        return str(self.path)

    def read(self, name):
        """Returns the content of a file; raises a `ValueError` if it is too large."""
        path = self.path / name
        if not path.is_file():
            raise ValueError(f"A preset must hold a file {name}. Received: none")
        try:
            with open(path, "rb") as file:
                return _read(file, name)
        except OSError as error:
            raise ValueError(
                f"A preset must hold a readable {name}. Received: {error.strerror}"
            ) from None

    def write(self, files):
        """Writes files, a dict of names to bytes; a preset that is there is replaced.

        If this fails, the directory stays as it was. If the process is killed just
        between the two renames, both presets are in a `.preset-*` directory beside it.
        """
        path = self.path.absolute()
        self._check_replaceable()
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".preset-") as tmp:
            new, old = Path(tmp) / "new", Path(tmp) / "old"
            new.mkdir()
            for name, content in files.items():
                (new / name).write_bytes(content)
            if path.exists():
                path.rename(old)
            try:
                new.rename(path)
            except BaseException:
                if old.exists():
                    old.rename(path)
                raise

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
        # Other directories also have a config.json or a README.md.
        try:
            decode_config(self.read(CONFIG))
        except ValueError:
            return False
        return (self.path / THETA).is_file()


class Download:
    """A preset in a zip file, downloaded and verified.

    Args:
        url: Address of the zip file, with `#sha256=` and its hash at the end.
        directory: Path of the directory that keeps downloads, if it can be written.

    Raises:
        ValueError: If the URL has no hash, or no file with this hash can be downloaded.
    """

    def __init__(self, url, directory):
        self.url, fragment = urldefrag(url)
        digest = re.fullmatch("sha256=([0-9a-f]{64})", fragment.lower())
        if not self.url.startswith(_SCHEMES) or not digest:
            raise ValueError(
                f"A preset's URL must begin with one of {_SCHEMES} and end with "
                "#sha256= and the 64 hex digits that `pack_preset` or sha256sum print "
                f"for the file. Received: {url}"
            )
        content = _verified(self.url, digest[1], directory)
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(content))
        except _BROKEN_ZIP as error:
            raise ValueError(
                f"A preset's URL must be of a zip file. Received: {url} ({error})"
            ) from None

    def __str__(self):
        return self.url

    def read(self, name):
        """Returns the content of a file; raises a `ValueError` if it is too large."""
        if name not in self._zip.namelist():
            raise ValueError(
                f"The zip file must hold {name}, in no folder. Received: "
                f"{self._zip.namelist()[:3]}"
            )
        info = self._zip.getinfo(name)
        # The other kinds cannot be unpacked bit by bit.
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ValueError(
                f"{name} must be stored or deflated. Received: compression type "
                f"{info.compress_type}"
            )
        try:
            with self._zip.open(info) as file:
                return _read(file, name)
        except _BROKEN_ZIP as error:
            raise ValueError(
                f"{name} must be intact in the zip file. Received: {error}"
            ) from None


def pack(path, files):
    """Writes a zip file of `{name: bytes}`, and returns its SHA-256."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in files.items():
            # `ZipInfo` has a fixed date: the same files have the same hash.
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    write_atomically(path, packed.getvalue())
    return _sha256(packed.getvalue())


def _read(file, name):
    content = file.read(LIMITS[name] + 1)
    check_size(name, content)
    return content


def _verified(url, digest, directory):
    """Returns the file with a hash, from the directory if it is there."""
    path = directory / f"{digest}.zip"
    with contextlib.suppress(OSError), open(path, "rb") as file:
        content = file.read(_ZIP_LIMIT + 1)
        if _sha256(content) == digest:
            return content
    content = _download(url)
    if _sha256(content) != digest:
        raise ValueError(
            f"A preset's URL must give the file of its hash. Received: {url}, a file "
            f"of sha256 {_sha256(content)}"
        )
    # It can be used even if it cannot be kept.
    with contextlib.suppress(OSError):
        directory.mkdir(parents=True, exist_ok=True)
        write_atomically(path, content)
    return content


def _download(url):
    """Returns the content of a URL.

    `keras.utils.get_file` would take any size, wait forever, write in place while
    another process may read, and leave a wrong file behind.
    """

    def read():
        with urllib.request.urlopen(url, timeout=_TIMEOUT) as response:
            return response.read(_ZIP_LIMIT + 1)

    try:
        content = _within(_DEADLINE, read)
    except (OSError, ValueError, http.client.HTTPException) as error:
        if isinstance(error, urllib.error.HTTPError):
            error.close()  # it is the response, too
        raise ValueError(
            "A preset's URL must be of a file that can be downloaded. Received: "
            f"{url} ({' '.join(str(error).split())})"
        ) from None
    if len(content) > _ZIP_LIMIT:
        raise ValueError(
            f"A preset's zip file must have at most {_ZIP_LIMIT} bytes. Received: {url}"
        )
    return content


def _within(seconds, fn):
    """Returns `fn()`, or raises a `TimeoutError`; then `fn` ends with the program."""
    results = queue.SimpleQueue()

    def run():
        try:
            results.put((fn(), None))
        except Exception as error:
            results.put((None, error))

    threading.Thread(target=run, daemon=True).start()
    try:
        result, error = results.get(timeout=seconds)
    except queue.Empty:
        raise TimeoutError(f"not done after {seconds} s") from None
    if error is not None:
        raise error
    return result


def _sha256(content):
    return hashlib.sha256(content).hexdigest()
