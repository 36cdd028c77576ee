"""Checkpoints of training and meta-training: arrays, written atomically."""

import hashlib
import json
import pathlib
import shutil
import warnings

from filelock import FileLock, Timeout
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from lrlearn.checks import differences
from lrlearn.files import write_atomically

_CONFIG = "config.json"
_LOCK = ".lock"
_PATTERN = "checkpoint-*.safetensors"
_CHECKSUM = "sha256"
_KEPT = 2


class CheckpointDirectory:
    """A directory that holds the newest checkpoints of one configuration.

    Within a `with` statement it is kept to this process, also if that dies: then it is
    free again.

    Args:
        path: The directory; made if need be.
        config: The run's configuration, as JSON types.
        worker: Index of this process among several, each of which keeps checkpoints
            of its own. Defaults to `0`.

    Raises:
        ValueError: If the directory belongs to another configuration, which leaves it
            untouched; in a `with` statement also if another process has it.
    """

    def __init__(self, path, config, worker=0):
        self.path = pathlib.Path(path) / (f"worker{worker}" if worker else "")
        self._config = json.loads(json.dumps(config))
        self._lock = FileLock(self.path / _LOCK)
        self._is_claimed()

    def __enter__(self):
        self.path.mkdir(parents=True, exist_ok=True)
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise ValueError(
                "A checkpoint directory must be used by one process at a time. "
                f"Received: {self.path}, which another one is using"
            ) from None
        if not self._is_claimed():
            write_atomically(self.path / _CONFIG, json.dumps(self._config, indent=1))
        return self

    def __exit__(self, *_):
        self._lock.release()

    def save(self, step, arrays):
        """Writes named arrays, then deletes the oldest checkpoints beyond those kept.

        Checkpoints of later steps, which could not be read, are deleted, too.
        """
        path = self._path(step)
        write_atomically(path, save(arrays, {_CHECKSUM: _checksum(arrays)}))
        checkpoints = self._checkpoints()
        newest = checkpoints.index(path)
        for other in checkpoints[:newest] + checkpoints[newest + _KEPT :]:
            other.unlink()

    def clear(self):
        """Deletes the directory."""
        shutil.rmtree(self.path)

    def write_text(self, name, text):
        """Writes a text file beside the checkpoints."""
        write_atomically(self.path / name, text)

    def load(self, step=None):
        """Returns the arrays of the newest whole checkpoint, `None` if there is none.

        A checkpoint that cannot be read is passed over with a warning; if none can be
        read, that is a `ValueError`.

        Args:
            step: Step whose checkpoint is taken; if it cannot be, that is a
                `ValueError`. Defaults to `None`: the newest one.
        """
        if step is not None:
            return self._load_step(step)
        checkpoints = self._checkpoints()
        for path in checkpoints:
            try:
                return _load(path)
            except (SafetensorError, ValueError, KeyError, OSError) as error:
                warnings.warn(
                    f"Checkpoint {path} cannot be read ({error}); going back to the "
                    "one before.",
                    stacklevel=2,
                )
        if checkpoints:
            raise ValueError(
                "A checkpoint directory must hold a checkpoint that can be read. "
                f"Received: {self.path}, where all are damaged"
            )
        return None

    def number(self):
        """Returns how many checkpoints there are, whole or not."""
        return len(self._checkpoints())

    def _load_step(self, step):
        try:
            return _load(self._path(step))
        except (SafetensorError, ValueError, KeyError, OSError) as error:
            raise ValueError(
                f"The checkpoint of step {step}, from which another worker goes on, "
                f"must be readable. Received: {self._path(step)} ({error})"
            ) from None

    def _path(self, step):
        return self.path / f"checkpoint-{step:08d}.safetensors"

    def _checkpoints(self):
        return sorted(self.path.glob(_PATTERN), reverse=True)

    def _is_claimed(self):
        """Returns whether this configuration is written down; raises if another is."""
        file = self.path / _CONFIG
        if not file.exists():
            if self._checkpoints():
                raise ValueError(
                    f"A checkpoint directory must hold {_CONFIG} beside checkpoints. "
                    f"Received: {self.path}, which does not"
                )
            return False
        try:
            found = json.loads(file.read_text())
        except ValueError:
            raise ValueError(f"{file} must be JSON, and cannot be read.") from None
        if found != self._config:
            raise ValueError(
                "A checkpoint directory must be new or of the same configuration. "
                f"Received: {self.path}, with "
                f"{'; '.join(differences(found, self._config))}"
            )
        return True


def _load(path):
    """Returns the arrays of a file; raises one of several errors if it is damaged."""
    with safe_open(path, "numpy") as file:
        names = file.keys()
        arrays = {name: file.get_tensor(name) for name in names}
        stored = (file.metadata() or {}).get(_CHECKSUM)
    if stored != _checksum(arrays):
        raise ValueError("its checksum is another")
    return arrays


def _checksum(arrays):
    """Returns a hash of names, types, shapes and values."""
    checksum = hashlib.sha256()
    for name in sorted(arrays):
        array = arrays[name]
        checksum.update(f"{name}:{array.dtype}:{array.shape}:".encode())
        checksum.update(array.tobytes())
    return checksum.hexdigest()
