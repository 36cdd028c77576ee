"""Writing files."""

import os
import pathlib
import uuid


def write_atomically(path, data):
    """Writes a file so that a reader sees the whole of it or what was there before.

    It is on the disk when this returns. If it fails, nothing is left of the new file.

    Args:
        path: Path of the file; its folder must exist.
        data: Bytes, or a string, which is encoded as UTF-8.

    Example:
        >>> import pathlib, tempfile
        >>> from lrlearn.files import write_atomically
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder) / "a.txt"
        ...     write_atomically(path, "new")
        ...     path.read_text()
        'new'
    """
    path = pathlib.Path(path)
    # A name of its own: several processes may write the same file.
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    try:
        with partial.open("xb") as file:
            file.write(data.encode() if isinstance(data, str) else data)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        if error.errno and error.filename is None:  # a full disk does not name it
            error.filename = str(path)
        raise
    finally:
        partial.unlink(missing_ok=True)
    _sync_directory(path.parent)


def _sync_directory(path):
    """Brings a new name in a directory to the disk, on systems that can."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
