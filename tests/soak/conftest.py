"""What the soak tests share."""

import pytest


@pytest.fixture
def kills(request):
    """How many kills each program must survive."""
    return request.config.getoption("--kills")
