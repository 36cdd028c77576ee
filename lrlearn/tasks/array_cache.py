"""A cache of arrays in files, since reading data sets is slow."""

import hashlib
import io
import os
import pathlib
import warnings

import numpy as np

from lrlearn.files import write_atomically

_STAMP = "stamp"


def path(name, source):
    """Returns the file for the arrays `name` that come from the folder `source`."""
    default = pathlib.Path("~", ".cache", "lrlearn")
    folder = pathlib.Path(os.environ.get("LRLEARN_CACHE") or default).expanduser()
    return folder / f"{name}-{hashlib.sha256(source.encode()).hexdigest()[:12]}.npz"


def read(file, stamp):
    """Returns a dict of arrays, `None` if the file has another stamp or is damaged."""
    try:
        with open(file, "rb") as f, np.load(f, allow_pickle=False) as archive:
            if str(archive[_STAMP]) != stamp:
                return None
            return {name: archive[name] for name in archive.files if name != _STAMP}
    except Exception:  # whatever a damaged file raises, it will be made anew
        return None


def write(file, stamp, arrays):
    """Writes a dict of arrays; the stamp changes if the source of the arrays does."""
    archive = io.BytesIO()
    np.savez(archive, **arrays, **{_STAMP: np.array(stamp)})
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, archive.getvalue())
    except OSError as error:
        warnings.warn(f"Could not cache the data in {file}: {error}", stacklevel=2)
