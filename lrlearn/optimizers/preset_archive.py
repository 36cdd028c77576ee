"""A preset as a zip file, for the web."""

import hashlib
import io
import os
import re
import tempfile
import zipfile
import zlib
from pathlib import Path
from urllib.parse import urldefrag

import keras

from lrlearn.optimizers.preset_format import LIMITS, read_limited

_SCHEMES = ("https://", "http://", "file://")
_LIMIT = sum(LIMITS.values())
_BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    OSError,
    NotImplementedError,  # a compression that Python does not know
    RuntimeError,  # encrypted
)


class Archive:
    """A published preset, downloaded and verified.

    Args:
        url: Address of a zip file with `#sha256=` and its hash at the end.
        folder: Where downloads are kept.

    Raises:
        ValueError: If there is no hash, the file cannot be had, or is another one.
    """

    def __init__(self, url, folder):
        self.url, digest = _split(url)
        with open(_download(self.url, digest, folder), "rb") as file:
            content = file.read(_LIMIT + 1)
        if len(content) > _LIMIT:
            raise ValueError(
                f"A preset's zip file must have at most {_LIMIT} bytes. Received: {url}"
            )
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(content))
        except _BROKEN as error:
            raise ValueError(
                f"A preset's URL must be of a zip file. Received: {url} ({error})"
            ) from None

    def __str__(self):
        return self.url

    def read(self, name):
        """Returns the content of a file; see `read_limited`."""
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
                return read_limited(file, name)
        except _BROKEN as error:
            raise ValueError(
                f"{name} must be intact in the zip file. Received: {error}"
            ) from None


def write_archive(path, files):
    """Writes a zip file, whole or not at all, and returns its SHA-256.

    Args:
        path: Where to; a file that is there is replaced.
        files: Dict of names to contents, as bytes.
    """
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in files.items():
            # `ZipInfo` has a fixed date: the same files have the same hash.
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".preset-") as tmp:
        partial = Path(tmp) / path.name
        partial.write_bytes(packed.getvalue())
        os.replace(partial, path)
    return hashlib.sha256(packed.getvalue()).hexdigest()


def _split(url):
    """Returns address and hash."""
    address, fragment = urldefrag(url)
    digest = re.fullmatch("sha256=([0-9a-f]{64})", fragment.lower())
    if not address.startswith(_SCHEMES) or not digest:
        raise ValueError(
            f"A preset's URL must begin with one of {_SCHEMES} and end with #sha256= "
            "and the 64 hex digits that `pack_preset` or sha256sum print for the file. "
            f"Received: {url}"
        )
    return address, digest[1]


def _download(url, digest, folder):
    """Returns the path of the file, named by its hash."""
    try:
        # Keras would put it in /tmp if the folder were not there.
        folder.mkdir(parents=True, exist_ok=True)
        return keras.utils.get_file(
            f"{digest}.zip",
            url,
            file_hash=digest,
            hash_algorithm="sha256",
            cache_dir=folder,
            cache_subdir="",
        )
    except Exception as error:  # of no narrower class in Keras
        raise ValueError(
            f"A preset's URL must give the file of its hash. Received: {url} "
            f"({' '.join(str(error).split())})"
        ) from None
