"""Meta-training to the bit, also without `MetaTrainer`."""

import pytest

from lrlearn.meta.ordered_sums import ordered_sums


@pytest.fixture(autouse=True, scope="module")
def _sums_in_order():
    with ordered_sums():
        yield
