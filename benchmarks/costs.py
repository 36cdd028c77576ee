r"""Writes the documentation's page of costs, from what `benchmarks.run` has measured.

    python -m benchmarks.run --quick --output=benchmarks/results --name=costs
    python -m benchmarks.run --groups=memory --output=benchmarks/results
    python -m benchmarks.costs

The first two commands take under ten minutes each on one core.
"""

import json
import pathlib

from absl import flags

from benchmarks import cost_page
from binaries import cli

_ROOT = pathlib.Path(__file__).parents[1]
_RESULTS = flags.DEFINE_string(
    "results", str(_ROOT / "benchmarks/results/costs.json"), "What was measured."
)
_MEMORY = flags.DEFINE_string(
    "memory", str(_ROOT / "benchmarks/results/memory.json"), "The same, of memory."
)
_PAGE = flags.DEFINE_string("page", str(_ROOT / "docs/costs.md"), "File to write.")


def main():
    """Writes the page by the flags."""
    from lrlearn.files import write_atomically

    results, memory = (
        json.loads(pathlib.Path(flag.value).read_text(encoding="utf-8"))
        for flag in (_RESULTS, _MEMORY)
    )
    write_atomically(pathlib.Path(_PAGE.value), cost_page.page(results, memory))
    print(f"Written: {_PAGE.value}")


if __name__ == "__main__":
    cli.run(main)
