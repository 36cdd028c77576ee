import numpy as np
import pytest

from lrlearn.regularizers import RhoSchedule


@pytest.mark.parametrize(
    "learning_rate, rho",
    [(0.1, 0.02), (0.5, 0.06), (0.9, 0.1), (1.9, 0.2), (0.0, 0.01), (-0.5, 0.0)],
)
def test_is_linear_and_not_negative(learning_rate, rho):
    schedule = RhoSchedule(0.02, 0.1, lr_min=0.1, lr_max=0.9)
    np.testing.assert_allclose(schedule(learning_rate), rho, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", ["rho_min", "rho_max", "lr_min", "lr_max"])
@pytest.mark.parametrize("bad", [-1, float("nan"), float("inf")])
def test_bad_numbers_raise(name, bad):
    arguments = {"rho_min": 0.1, "rho_max": 0.2, "lr_min": 0.1, "lr_max": 0.2}
    with pytest.raises(ValueError, match=f"`{name}` must be .* Received: {name}="):
        RhoSchedule(**{**arguments, name: bad})


def test_empty_range_of_learning_rates_raises():
    with pytest.raises(ValueError, match="`lr_max` must be above `lr_min`"):
        RhoSchedule(0.1, 0.2, lr_min=0.5, lr_max=0.5)
