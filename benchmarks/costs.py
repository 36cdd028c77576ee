r"""Writes the documentation's page of costs, from what `benchmarks.run` has measured.

    python -m benchmarks.run --quick --output=benchmarks/results --name=costs
    python -m benchmarks.costs

The first command takes under ten minutes on one core, the second a few seconds.
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
_PAGE = flags.DEFINE_string("page", str(_ROOT / "docs/costs.md"), "File to write.")


def main():
    """Writes the page by the flags."""
    from lrlearn.files import write_atomically

    results = json.loads(pathlib.Path(_RESULTS.value).read_text(encoding="utf-8"))
    write_atomically(pathlib.Path(_PAGE.value), cost_page.page(results))
    print(f"Written: {_PAGE.value}")


if __name__ == "__main__":
    cli.run(main)
