"""Regularizers under any backend, in float32, against the papers' formulas."""

import keras
import numpy as np
import pytest
from keras import ops

from lrlearn.regularizers import (
    ASAM,
    GAM,
    GSAM,
    L2,
    SAM,
    Mixture,
    Penalty,
    gradient_norm,
)

pytestmark = pytest.mark.any_backend

# Fields of x' diag(1, 10) x / 2 at (1, 1).
FIELDS = {
    "sam": (SAM(0.1), [1.0099503719, 10.9950371902]),
    "asam": (ASAM(0.1, eta=0.0), [1.0099503719, 10.9950371902]),
    "gsam": (GSAM(0.1, 0.4), [0.9776434052, 10.9980047503]),
    "gam_algorithm2": (GAM(0.1, 0.1), [0.9759130445, 11.5984865352]),
    "gam_released": (GAM(0.1, 0.1, variant="released"), [0.9503155768, 11.6007161811]),
    "gam_hvp": (GAM(0.1, 0.1, variant="hvp"), [1.0036250377, 10.3983540011]),
    "l2": (L2(0.5), [1.5, 10.5]),
    # The gradient norm is the root of 101; its gradient is H g over it.
    "penalty": (Penalty(gradient_norm, 0.1), [1.0099503719, 10.9950371902]),
    # A quarter of the gradient (1, 10) and of SAM's, half of L2's.
    "mixture": (
        Mixture([None, "sam", L2(0.5)], [0.5, 0.5, 1.0]),
        [1.2512437965, 10.3743796508],
    ),
    # The norm there is the root of 2.
    "sam_relative": (SAM(0.1 / 2**0.5, relative=True), [1.0099503719, 10.9950371902]),
    "gam_relative": (
        GAM(0.1 / 2**0.5, 0.1 / 2**0.5, relative=True),
        [0.9759130445, 11.5984865352],
    ),
}


@pytest.mark.parametrize("regularizer, expected", FIELDS.values(), ids=FIELDS)
def test_field(regularizer, expected):
    """Of tensors and of variables."""

    def loss_fn(params):
        x, y = params
        return 0.5 * x**2 + 5.0 * y**2

    for make in (ops.convert_to_tensor, keras.Variable):
        loss, field = regularizer.gradients(loss_fn, [make(1.0), make(1.0)])
        field = [ops.convert_to_numpy(x) for x in field]
        np.testing.assert_allclose(ops.convert_to_numpy(loss), 5.5, rtol=1e-6)
        np.testing.assert_allclose(field, expected, rtol=1e-6)


@pytest.mark.parametrize("name", ["sam", "asam", "gsam", "gam_released", "gam_hvp"])
def test_zero_gradients_stay_zero(name):
    """Also of a parameter that the loss does not depend on."""
    regularizer, _ = FIELDS[name]
    _, field = regularizer.gradients(
        lambda params: ops.sum(params[0] ** 2), [ops.zeros((2,)), ops.ones(())]
    )
    for x in field:
        np.testing.assert_array_equal(ops.convert_to_numpy(x), np.zeros(x.shape))
