"""Building blocks of rules against their published formulas."""

import numpy as np
import pytest
from keras import ops

from lrlearn.rules import building_blocks
from tests.rules.test_contract import BACKEND, MODES, compiled

pytestmark = pytest.mark.any_backend


def _tensor(x):
    return ops.convert_to_tensor(x, "float32")


def _numpy(xs):
    return np.stack([ops.convert_to_numpy(x) for x in xs])


@pytest.mark.parametrize(
    ("g", "expected"),
    [
        (1.0, (0.0, 1.0)),
        (np.e, (0.1, 1.0)),
        (-np.exp(-5.0), (-0.5, -1.0)),
        (np.exp(-9.99), (-0.999, 1.0)),
        # Below e^-p: (-1, e^p g).
        (np.exp(-12.0), (-1.0, np.exp(-2.0))),
        (-np.exp(-11.0), (-1.0, -np.exp(-1.0))),
        (0.0, (-1.0, 0.0)),
    ],
)
def test_log_and_sign(g, expected):
    """Andrychowicz et al., appendix A, with p = 10."""
    received = _numpy(building_blocks.log_and_sign(_tensor([g])))
    np.testing.assert_allclose(np.ravel(received), expected, rtol=2e-6, atol=1e-7)


def test_log_and_sign_takes_p():
    """With p = 2, e^-1 is half way down the scale."""
    received = _numpy(building_blocks.log_and_sign(_tensor([np.exp(-1.0)]), p=2.0))
    np.testing.assert_allclose(received, [[-0.5], [1.0]], rtol=1e-6)


def test_normalized_is_adams_direction():
    """Kingma and Ba, algorithm 1, with bias correction, step by step in float64."""
    gradients = np.random.default_rng(0).normal(size=(6, 3))
    accumulators = {"m": ops.zeros((1, 3)), "v": ops.zeros((1, 3))}
    m, v = np.zeros(3), np.zeros(3)
    for t, g in enumerate(gradients, start=1):
        m, v = 0.9 * m + 0.1 * g, 0.99 * v + 0.01 * g**2
        scale = np.sqrt(v / (1 - 0.99**t))
        m_hat, g_hat, accumulators = building_blocks.normalized(
            _tensor(g[None]), accumulators, t
        )
        m_hat, g_hat = _numpy([m_hat, g_hat])
        np.testing.assert_allclose(m_hat[0], m / (1 - 0.9**t) / scale, rtol=2e-5)
        np.testing.assert_allclose(g_hat[0], g / scale, rtol=2e-5)


def test_bound_keeps_squares_finite():
    """Only what float32 cannot square is clipped."""
    g = np.float32([1.0, -1e17, 1e30, -np.inf])
    bounded = ops.convert_to_numpy(building_blocks.bound(_tensor(g)))
    np.testing.assert_array_equal(bounded[:2], g[:2])
    np.testing.assert_array_equal(np.sign(bounded), np.sign(g))
    assert np.isfinite(bounded**2).all()


@pytest.mark.parametrize("to_sum", [False, True])
def test_bound_keeps_nan(to_sum):
    """Compiled, too, where clipping alone may give a number."""
    g = _tensor([np.nan, 1.0])

    def bound(g):
        return building_blocks.bound(g, to_sum)

    for mode in MODES.get(BACKEND, ["eager"]):
        function = bound if mode == "eager" else compiled(bound, mode)
        bounded = ops.convert_to_numpy(function(g))
        np.testing.assert_array_equal(bounded, [np.nan, 1.0])
