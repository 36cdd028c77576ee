"""Sees what JAX has computed when the clock is read; for `test_benchmarks`."""

import types

import numpy as np

from benchmarks import training

if __name__ == "__main__":
    model = training.model("cnn", "adam")
    training.start_seconds(model)
    read = []

    def process_time():
        values = [variable.value for variable in model.variables]
        read.append((all(value.is_ready() for value in values), np.array(values[0])))
        return 0.0

    training.time = types.SimpleNamespace(process_time=process_time)
    training.step_seconds(model, steps=2)
    is_ready, value = read[-1]
    assert is_ready
    np.testing.assert_array_equal(value, model.get_weights()[0])
    print("done")
