"""Trains on two JAX devices; for `test_data_parallel`."""

import jax
import keras
import numpy as np

from tests.backends.run_fit import PRESETS, fit, new

if __name__ == "__main__":
    assert len(jax.devices()) == 2
    alone = [fit(new(preset)) for preset in PRESETS]
    keras.distribution.set_distribution(keras.distribution.DataParallel())
    np.testing.assert_allclose([fit(new(p)) for p in PRESETS], alone, rtol=1e-5)
    print("done")
