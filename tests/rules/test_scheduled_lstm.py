"""ScheduledLSTM against the rule written in NumPy, tensor by tensor."""

import keras
import numpy as np
import pytest

from lrlearn.rules import Run, ScheduledLSTM
from tests.rules.test_contract import large_theta
from tests.rules.test_scheduled_mlp import SHAPES, Reference, check

pytestmark = pytest.mark.any_backend


def _sigmoid(z):
    return 1 / (1 + np.exp(-z))


class _Reference(Reference):
    """With an LSTM, gate by gate."""

    memory = {}  # replaced at each step

    def direction(self, x, z):
        memory = dict(self.memory)
        for layer in range(2):
            gates = self.layer(f"lstm{layer}", x)
            if layer == 0:
                gates = gates + self.theta["lstm0/context"] @ z
            h, c = memory.get(layer, (0.0, 0.0))
            if layer in memory:
                gates = gates + self.theta[f"lstm{layer}/recurrent"] @ h
            i, f, candidate, o = np.split(gates, 4)
            c = _sigmoid(f) * c + _sigmoid(i) * np.tanh(candidate)
            x = _sigmoid(o) * np.tanh(c)
            memory[layer] = x, c
        self.memory = memory
        return self.layer("head", x)


@pytest.mark.parametrize("rho", [None, 0.2])
def test_matches_numpy(rho):
    """Several steps agree."""
    rule = ScheduledLSTM((4, 3), default_rho=rho and 0.05)
    run = Run(40, 3, rho or 0.0)
    check(rule, large_theta(rule), SHAPES, 6, run, reference=_Reference)


def test_untrained():
    """Forget gates are open, and the output layer is zero."""
    theta = ScheduledLSTM((3,)).init_theta()
    np.testing.assert_array_equal(
        theta["lstm0/bias"][:, 0], [0, 0, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0]
    )
    assert not theta["head/kernel"].any() and theta["lstm0/context"].any()


def test_state():
    """Two numbers a unit and three more, for each coordinate."""
    leaves = keras.tree.flatten(ScheduledLSTM((4, 3)).initial_state([(5, 2), (2,)]))
    assert sum(leaf.shape[0] for leaf in leaves) == 2 * 7 + 3
    assert all(leaf.shape[1] == 12 for leaf in leaves)


@pytest.mark.parametrize("units", [(), (4, 0), (2.5,)])
def test_bad_units(units):
    """At least one layer, of at least one unit."""
    with pytest.raises(ValueError, match="`units` must be .* Received: units="):
        ScheduledLSTM(units)
