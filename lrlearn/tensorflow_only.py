"""Imported by what needs the TensorFlow backend; fails under the others."""

import keras

if keras.backend.backend() != "tensorflow":
    raise ImportError(
        "Meta-training, tasks and evaluation need the TensorFlow backend. Received: "
        f"KERAS_BACKEND={keras.backend.backend()}"
    )
