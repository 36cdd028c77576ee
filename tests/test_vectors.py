import numpy as np
import pytest
from keras import ops

from lrlearn import vectors
from tests.regularizers.problems import MODES, values


def test_norm_is_joint():
    a = [ops.array([[1.0, 2.0]]), ops.array(2.0)]
    np.testing.assert_allclose(vectors.norm(a), 3.0, rtol=1e-6)
    np.testing.assert_allclose(values(vectors.unit(a)), np.array([1, 2, 2]) / 3, 1e-6)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("size", [1e-30, 1e-20, 1.0, 1e20, 1e30])
def test_unit_has_length_one_at_any_scale(mode, size):
    a = [ops.array([3.0 * size], "float32"), ops.array([-4.0 * size], "float32")]
    np.testing.assert_allclose(values(MODES[mode](vectors.unit)(a)), [0.6, -0.8], 1e-6)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("value", [0.0, 1e-45])
def test_unit_of_nothing_is_zero(mode, value):
    a = [ops.full((2,), value, "float32"), ops.zeros((), "float32")]
    received = values(MODES[mode](vectors.unit)(a))
    np.testing.assert_allclose(received, np.zeros(3), atol=1e-6)


def test_half_precision_does_not_overflow():
    a = [ops.full((10_000,), 100.0, "float16")]
    np.testing.assert_allclose(vectors.norm(a), 1e4)
    np.testing.assert_allclose(vectors.unit(a)[0], np.full(10_000, 0.01), rtol=1e-5)


def test_scale_keeps_the_precision_of_float64():
    a, b = [ops.zeros(1, "float64")], [ops.ones(1, "float64")]
    assert float(vectors.add(a, b, 0.1)[0][0]) == 0.1


def test_perpendicular():
    a, b = [ops.array(1.0), ops.array(1.0)], [ops.array(3.0), ops.array(4.0)]
    received = vectors.perpendicular(a, b)
    np.testing.assert_allclose(values(received), [1 - 21 / 25, 1 - 28 / 25], 1e-5)
    zero = [ops.array(0.0), ops.array(0.0)]
    np.testing.assert_array_equal(values(vectors.perpendicular(a, zero)), values(a))
