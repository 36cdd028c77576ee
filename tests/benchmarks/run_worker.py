"""Imports and uses what measures on other backends; for `test_benchmarks`."""

import sys

import keras

from benchmarks import cases, worker

if __name__ == "__main__":
    arguments = {"network": "mlp_20", "steps": 1, "optimizers": ["adam", "sam"]}
    worker.measure(cases.Case("training_step", "", arguments), 1)
    scaling = {"num_params": 10, "steps": 1, "optimizers": ["scheduled_mlp"]}
    worker.measure(cases.Case("scaling", "", scaling), 1)
    assert "tensorflow" not in sys.modules
    print(keras.backend.backend())
