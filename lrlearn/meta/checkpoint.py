"""Checkpoints of meta-training: arrays, written atomically."""

import json
import pathlib
import warnings

from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from lrlearn.checks import differences
from lrlearn.files import write_atomically

_CONFIG = "config.json"
_PATTERN = "checkpoint-*.safetensors"
_KEPT = 2


class CheckpointDirectory:
    """A directory that holds the newest checkpoints of one configuration.

    Args:
        path: The directory; made if need be.
        config: The run's configuration, as JSON types.
        worker: Index of this process among several, each of which keeps checkpoints
            of its own. Defaults to `0`.

    Raises:
        ValueError: If the directory belongs to another configuration. It is left
            untouched.
    """

    def __init__(self, path, config, worker=0):
        self.path = pathlib.Path(path) / (f"worker{worker}" if worker else "")
        self._claim(json.loads(json.dumps(config)))

    def save(self, step, arrays):
        """Writes named arrays, then deletes the oldest checkpoints beyond those kept.

        Checkpoints of later steps, which could not be read, are deleted, too.
        """
        path = self.path / f"checkpoint-{step:08d}.safetensors"
        write_atomically(path, save(arrays))
        checkpoints = self._checkpoints()
        newest = checkpoints.index(path)
        for other in checkpoints[:newest] + checkpoints[newest + _KEPT :]:
            other.unlink()

    def write_text(self, name, text):
        """Writes a text file beside the checkpoints."""
        write_atomically(self.path / name, text)

    def load(self):
        """Returns the arrays of the newest whole checkpoint, `None` if there is none.

        A checkpoint that cannot be read is passed over with a warning; if none can be
        read, that is a `ValueError`.
        """
        checkpoints = self._checkpoints()
        for path in checkpoints:
            try:
                return load_file(path)
            except (SafetensorError, ValueError, KeyError, OSError) as error:
                warnings.warn(
                    f"Checkpoint {path} cannot be read ({error}); going back to the "
                    "one before.",
                    stacklevel=2,
                )
        if checkpoints:
            raise ValueError(
                "`checkpoint_dir` must hold a checkpoint that can be read. Received: "
                f"{self.path}, where all are damaged"
            )
        return None

    def _checkpoints(self):
        return sorted(self.path.glob(_PATTERN), reverse=True)

    def _claim(self, config):
        file = self.path / _CONFIG
        if not file.exists():
            if self._checkpoints():
                raise ValueError(
                    f"`checkpoint_dir` must hold {_CONFIG} beside its checkpoints. "
                    f"Received: {self.path}, which does not"
                )
            self.path.mkdir(parents=True, exist_ok=True)
            write_atomically(file, json.dumps(config, indent=1))
            return
        try:
            found = json.loads(file.read_text())
        except ValueError:
            raise ValueError(f"{file} must be JSON, and cannot be read.") from None
        if found != config:
            raise ValueError(
                f"`checkpoint_dir` must be new or of the same configuration. Received: "
                f"{self.path}, with {'; '.join(differences(found, config))}"
            )
