"""Few resamples, except where intervals themselves are tested."""

import pytest

from paper.report import effects


@pytest.fixture(scope="package", autouse=True)
def _few_resamples():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(effects, "RESAMPLES", 200)
        yield
