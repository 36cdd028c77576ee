"""A preset as a zip file, for the web."""

import contextlib
import hashlib
import http.client
import io
import re
import urllib.error
import urllib.request
import zipfile
import zlib
from urllib.parse import urldefrag

from lrlearn.files import write_atomically
from lrlearn.optimizers.preset_format import LIMITS, read_limited

_SCHEMES = ("https://", "http://", "file://")
_LIMIT = sum(LIMITS.values())
_TIMEOUT = 30  # seconds without a byte
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
        folder: Where downloads are kept, if it can be written.

    Raises:
        ValueError: If there is no hash, the file cannot be had, or is another one.
    """

    def __init__(self, url, folder):
        self.url, digest = _split(url)
        content = _content(self.url, digest, folder)
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
    write_atomically(path, packed.getvalue())
    return _sha256(packed.getvalue())


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


def _content(url, digest, folder):
    """Returns the file, from the folder if it is there, named by its hash."""
    path = folder / f"{digest}.zip"
    content = _cached(path)
    if _sha256(content) == digest:
        return content
    content = _download(url)
    if _sha256(content) != digest:
        raise ValueError(
            f"A preset's URL must give the file of its hash. Received: {url}, a file "
            f"of sha256 {_sha256(content)}"
        )
    # The preset is here, even where it cannot be kept.
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(path, content)
    return content


def _cached(path):
    try:
        with open(path, "rb") as file:
            return file.read(_LIMIT + 1)
    except OSError:
        return b""


def _download(url):
    """Returns what is at the address.

    `keras.utils.get_file` would take any size and wait forever, write in place, where
    another process may read, and leave a wrong file behind.
    """
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT) as response:
            content = response.read(_LIMIT + 1)
    except (OSError, ValueError, http.client.HTTPException) as error:
        if isinstance(error, urllib.error.HTTPError):
            error.close()  # it is the response, too
        raise ValueError(
            "A preset's URL must be of a file that can be downloaded. Received: "
            f"{url} ({' '.join(str(error).split())})"
        ) from None
    if len(content) > _LIMIT:
        raise ValueError(
            f"A preset's zip file must have at most {_LIMIT} bytes. Received: {url}"
        )
    return content


def _sha256(content):
    return hashlib.sha256(content).hexdigest()
