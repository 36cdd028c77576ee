"""Trains one step with a preset, as a user of the wheel would; for `test_wheel`."""

import importlib.util
import tempfile

import keras
import numpy as np

import lrlearn

model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
model.compile(lrlearn.LearnedOptimizer.from_preset("lo_sam"), "mse")
before = [np.array(w) for w in model.get_weights()]
model.fit(np.ones((4, 3)), np.ones((4, 1)), verbose=0)
assert all((a != b).any() for a, b in zip(before, model.get_weights(), strict=True))
with tempfile.TemporaryDirectory() as folder:
    model.optimizer.save_to_preset(f"{folder}/mine")
assert "site-packages" in lrlearn.__file__
assert not any(importlib.util.find_spec(n) for n in ("binaries", "paper", "tests"))
print(keras.backend.backend(), lrlearn.__version__)
