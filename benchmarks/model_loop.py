r"""Memory that a loop over models keeps, as in cross-validation, for each optimizer.

    python -m benchmarks.model_loop

Each model is made, compiled, trained for some steps and forgotten. Prints MiB that the
process grows by with each model, after the first ones; each optimizer has a process of
its own, started by this one.
"""

import gc
import pathlib
import re
import subprocess
import sys

from absl import flags

from binaries import cli

_MODELS = flags.DEFINE_integer("models", 200, "Number of models.", lower_bound=1)
_OPTIMIZER = flags.DEFINE_string(
    "optimizer", None, "adam or a preset, in this process; default: adam and lo_sam."
)
_CLEAR = flags.DEFINE_bool("clear", False, "Whether to call clear_session each time.")

_WARM_UP = 20
_KIB = 1024


def main():
    """Prints a line for each optimizer."""
    if _OPTIMIZER.value:
        print(f"{_OPTIMIZER.value}: {_growth(_OPTIMIZER.value):.2f} MiB a model")
        return
    for name in ("adam", "lo_sam"):
        command = [sys.executable, "-m", __spec__.name, *sys.argv[1:]]
        subprocess.run([*command, f"--optimizer={name}"], check=True)


def _growth(name):
    """Returns the mean growth of this process in MiB a model."""
    for index in range(_WARM_UP + _MODELS.value):
        if index == _WARM_UP:
            start = _resident()
        _fit(name)
        gc.collect()
    return (_resident() - start) / _MODELS.value


def _fit(name):
    import keras
    import numpy as np

    import lrlearn

    if _CLEAR.value:
        keras.utils.clear_session()
    layers = [keras.Input((20,)), keras.layers.Dense(16, "relu"), keras.layers.Dense(3)]
    model = keras.Sequential(layers)
    make = lrlearn.LearnedOptimizer.from_preset
    model.compile("adam" if name == "adam" else make(name), "mse")
    x, y = np.ones((64, 20), "float32"), np.ones((64, 3), "float32")
    model.fit(x, y, batch_size=32, verbose=0)


def _resident():
    """Returns the resident memory of this process in MiB, as Linux tells it."""
    status = pathlib.Path("/proc/self/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / _KIB


if __name__ == "__main__":
    cli.run(main)
