"""LearnedOptimizer by name, copied and pickled, beside what Adam does."""

import copy
import pickle

import keras
import numpy as np
import pytest

from lrlearn.optimizers import LearnedOptimizer
from tests.optimizers.conftest import GRADIENTS, apply

pytestmark = pytest.mark.any_backend

COPIES = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda optimizer: pickle.loads(pickle.dumps(optimizer)),
}


@pytest.mark.parametrize("duplicate", COPIES.values(), ids=COPIES)
def test_copy(make_optimizer, duplicate):
    """It has theta and the configuration."""
    optimizer = make_optimizer(learning_rate=0.5, clipnorm=1.0)
    other = duplicate(optimizer)
    assert other.get_config() == optimizer.get_config()
    np.testing.assert_array_equal(apply(other, GRADIENTS), apply(optimizer, GRADIENTS))


@pytest.mark.parametrize("duplicate", COPIES.values(), ids=COPIES)
def test_copy_of_one_in_use(make_optimizer, duplicate):
    """As of Adam, Keras drops the state and warns; theta stays."""
    for optimizer in (keras.optimizers.Adam(), make_optimizer()):
        apply(optimizer, GRADIENTS)
        with pytest.warns(UserWarning, match="Skipping variable loading"):
            other = duplicate(optimizer)
        assert int(other.iterations) == 0
    np.testing.assert_array_equal(
        apply(other, GRADIENTS), apply(make_optimizer(), GRADIENTS)
    )


def test_pickled_model(make_model, make_optimizer, fit):
    """Goes on where it was."""
    model = make_model()
    model.compile(make_optimizer(), "binary_crossentropy")
    fit(model)
    other = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(fit(other), fit(model))


def test_get_by_name():
    """A name has no rule: one line tells. Keras knows no unregistered name."""
    for name in (
        "lrlearn>LearnedOptimizer",
        {"class_name": "lrlearn>LearnedOptimizer"},
    ):
        config = name if isinstance(name, str) else {**name, "config": {}}
        with pytest.raises(ValueError, match="must have a `rule`; by name take") as e:
            keras.optimizers.get(config)
        assert "\n" not in str(e.value)
    with pytest.raises(ValueError, match="Could not interpret"):
        keras.optimizers.get("LearnedOptimizer")


def test_get_of_a_preset():
    """Its config brings theta."""
    optimizer = LearnedOptimizer.from_preset("lo_sam", learning_rate=0.5)
    other = keras.optimizers.get(keras.optimizers.serialize(optimizer))
    assert float(other.learning_rate) == 0.5
    for name, value in optimizer.theta.items():
        np.testing.assert_array_equal(other.theta[name], value)
