"""Import this to fail early without the TensorFlow backend and its packages."""

import importlib.util

import keras

if keras.backend.backend() != "tensorflow":
    raise ImportError(
        "Meta-training, tasks, evaluation and plots need the TensorFlow backend. "
        f"Received: KERAS_BACKEND={keras.backend.backend()}"
    )
_NEEDED = ("matplotlib", "pandas", "scipy", "sklearn", "tensorflow_datasets", "tqdm")
if _missing := [name for name in _NEEDED if importlib.util.find_spec(name) is None]:
    raise ImportError(
        "Meta-training, tasks, evaluation and plots need "
        f"`pip install 'lrlearn[tensorflow]'`. Received: no {', '.join(_missing)}"
    )
