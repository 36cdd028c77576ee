"""Imported by what needs the TensorFlow backend; fails under the others."""

import keras

if keras.backend.backend() != "tensorflow":
    raise ImportError(
        "Meta-training, tasks, evaluation and plots need the TensorFlow backend. "
        f"Received: KERAS_BACKEND={keras.backend.backend()}"
    )
