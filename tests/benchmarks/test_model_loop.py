"""`model_loop` tells what a model leaves in memory."""

import re

import pytest

from tests import processes


@pytest.mark.slow
def test_a_line_for_an_optimizer():
    output = processes.run(
        "benchmarks.model_loop", "--models=2", "--optimizer=lo_sam", "--clear"
    )
    growth = re.search(r"^lo_sam: (-?\d+\.\d+) MiB a model$", output, re.MULTILINE)
    assert float(growth[1]) < 50
