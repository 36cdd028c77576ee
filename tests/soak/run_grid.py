"""Runs a tiny grid, with its store in a directory."""

import dataclasses
import os
import sys

os.environ["TF_NUM_INTRAOP_THREADS"] = "1"
os.environ["TF_NUM_INTEROP_THREADS"] = "1"

from paper.grid import runner
from tests.paper.small_grid import SMALL

GRID = dataclasses.replace(
    SMALL, name="tiny", networks=("mlp",), horizons=(("*", (16,)),), meta_seeds=1
)

if __name__ == "__main__":
    missing = runner.run(GRID, sys.argv[1], {"commit": "soak"}, verbose=0)
    assert missing == 0
