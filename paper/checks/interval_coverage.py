r"""Measures how often intervals of `hierarchical_bootstrap` contain the true mean.

    python -m paper.checks.interval_coverage

Simulates paired differences on nine tasks, at 2, 3, 5 and 10 meta-seeds with as many
seeds (3 at least), whose true mean over tasks is 0:
$$d_{tms} = a_m + b_{tm} + c_{ts} + e_{tms},$$
all parts standard normal times the square root of their share of the variance. In
`crossed` a meta-seed matters on each task anew, in `shared` on all tasks alike. Writes
`interval_coverage.csv` and `interval_coverage.json` (command, commit, versions).
"""

import numpy as np
import pandas as pd
from absl import flags
from tqdm.auto import tqdm

from binaries import cli
from lrlearn.evaluation.bootstrap import hierarchical_bootstrap

_COUNT = flags.DEFINE_integer("count", 2000, "Simulated grids.", lower_bound=1)
_SEED = flags.DEFINE_integer("seed", 0, "Seed of the simulation.", lower_bound=0)
_OUTPUT = flags.DEFINE_string("output", "runs/checks", "Output directory.")

_TASKS = 9
_SIZES = ((2, 3), (3, 3), (5, 5), (10, 10))
# Shares of the variance: meta-seeds on all tasks and on one, seeds on one, the rest.
_SHARES = {"crossed": (0.0, 0.4, 0.4, 0.2), "shared": (0.4, 0.0, 0.4, 0.2)}


def main():
    """Simulates and writes by the flags."""
    output = cli.output_directory(_OUTPUT.value)
    # Before anything is written, which would make the tree look changed.
    origin = cli.provenance()
    rng = np.random.default_rng(_SEED.value)
    rows = [
        {"variance": name, "meta_seeds": m, "seeds": s, "count": _COUNT.value}
        | {"covered": _covered(rng, m, s, shares)}
        for name, shares in _SHARES.items()
        for m, s in tqdm(_SIZES, desc=name)
    ]
    frame = pd.DataFrame(rows)
    cli.write_table(output / "interval_coverage.csv", frame, origin, "%.3f")
    print(frame.to_string(index=False))


def _covered(rng, meta_seeds, seeds, shares):
    """Returns the share of intervals of 95 % that hold 0."""
    held = 0
    for i in range(_COUNT.value):
        d = _differences(rng, meta_seeds, seeds, shares)
        interval, _ = hierarchical_bootstrap(list(d), resamples=1000, seed=i)
        held += interval.low <= 0 <= interval.high
    return held / _COUNT.value


def _differences(rng, meta_seeds, seeds, shares):
    """Returns differences `[tasks, meta-seeds, seeds]`."""
    shapes = (
        (1, meta_seeds, 1),
        (_TASKS, meta_seeds, 1),
        (_TASKS, 1, seeds),
        (_TASKS, meta_seeds, seeds),
    )
    parts = zip(shares, shapes, strict=True)
    return sum(np.sqrt(share) * rng.normal(size=shape) for share, shape in parts)


if __name__ == "__main__":
    cli.run(main)
