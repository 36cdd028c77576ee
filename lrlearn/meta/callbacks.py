"""Callbacks of meta-training: a meta-step is a batch, a meta-validation a test."""

import contextlib

import keras
import tensorflow as tf
from tqdm.auto import tqdm


class ProgressBar(keras.callbacks.Callback):
    """Shows steps done, rate, time left and the latest losses."""

    def on_train_begin(self, logs=None):
        """Opens the bar at the step from which training goes on."""
        self._bar = tqdm(
            desc="meta-training",
            initial=self.params["initial"],
            total=self.params["steps"],
            unit="step",
            mininterval=0.5,
        )
        self._losses = self._scores = ""

    def on_train_batch_end(self, batch, logs=None):
        """Moves the bar."""
        skipped = logs["total_skipped"]
        self._losses = f"meta-loss {logs['meta_loss']:.3g}"
        self._losses += f", {skipped} skipped" if skipped else ""
        self._show()
        self._bar.update()

    def on_test_end(self, logs=None):
        """Shows the meta-validation's score, and the step whose weights are kept."""
        self._scores = (
            f", score (lower is better) {logs['score']:.3g}, "
            f"best {logs['best_score']:.3g} at step {logs['best_step']:.0f}"
        )
        self._show()

    def on_train_end(self, logs=None):
        """Closes the bar."""
        self._bar.close()

    def _show(self):
        self._bar.set_postfix_str(self._losses + self._scores, refresh=False)


class TensorBoard(keras.callbacks.Callback):
    """Writes every logged number as a TensorBoard scalar.

    Args:
        log_dir: Directory of the event files.
    """

    def __init__(self, log_dir):
        super().__init__()
        self._log_dir = str(log_dir)

    def on_train_begin(self, logs=None):
        """Opens the event file."""
        with self._os_errors():
            self._writer = tf.summary.create_file_writer(self._log_dir)

    def on_train_batch_end(self, batch, logs=None):
        """Writes the numbers of a meta-step."""
        names = "meta_loss", "loss", "gradient_norm", "total_skipped"
        self._write({name: logs[name] for name in names}, logs["step"])

    def on_test_end(self, logs=None):
        """Writes the meta-validation's score."""
        self._write({"score": logs["score"]}, logs["step"])

    def on_train_end(self, logs=None):
        """Closes the event file."""
        with self._os_errors():
            self._writer.close()

    def _write(self, scalars, step):
        with self._os_errors(), self._writer.as_default(step=int(step)):
            for name, value in scalars.items():
                tf.summary.scalar(f"meta/{name}", value)

    @contextlib.contextmanager
    def _os_errors(self):
        """Tells of a full disk, say, as all other files do."""
        try:
            yield
        except tf.errors.OpError as error:
            line = error.message.splitlines()[0].rpartition("}} ")[2]
            raise OSError(
                f"Events cannot be written to {self._log_dir}: "
                f"{line.partition(' [Op:')[0]}"
            ) from None
