"""Meta-training to the bit, as the programs have it."""

import pytest
import tensorflow as tf


@pytest.fixture(autouse=True, scope="module")
def _sums_in_order():
    """Keeps TensorFlow from adding up in whatever order its threads run."""
    before = tf.config.optimizer.get_experimental_options()
    tf.config.optimizer.set_experimental_options({"arithmetic_optimization": False})
    yield
    kept = {"arithmetic_optimization": True, **before}
    tf.config.optimizer.set_experimental_options(kept)
