r"""CPU time and memory of meta-steps, training steps and optimizers, on one core.

    python -m benchmarks.run
    python -m benchmarks.run --groups=meta_step --only="replay, lstm" --repeats=9

Run it on a quiet machine. Every case runs alone, in a process of its own. Times are in
CPU milliseconds, median and range of the repeats; `ratio` is to the first case
(meta_step) or to Adam (the others); `peak_mib` is of the process, in training_step of
all optimizers together. Yardsticks, before and after, tell what the machine itself did.
Writes a JSON file, anew after each case, and prints tables.
"""

from absl import flags
from tqdm.auto import tqdm

from benchmarks import cases, machine, report
from benchmarks.collect import collect
from binaries import cli

_OUTPUT = flags.DEFINE_string("output", "runs/benchmarks", "Output directory.")
_NAME = flags.DEFINE_string("name", None, "Name of the file; default: the groups.")
_GROUPS = flags.DEFINE_list("groups", list(cases.GROUPS), "Groups of cases.")
_ONLY = flags.DEFINE_string("only", "", "Substring of <group>/<case> to be measured.")
_REPEATS = flags.DEFINE_integer("repeats", 5, "Repeats of each case.", lower_bound=1)
_OPTIMIZERS = flags.DEFINE_list(
    "optimizers", None, "Those of training_step, adam among them; default: all."
)
_CORE = flags.DEFINE_integer("core", 0, "Core to run on.", lower_bound=0)


def main():
    """Runs the benchmarks by the flags."""
    machine.pin(_CORE.value)
    chosen = cases.select(_GROUPS.value, _ONLY.value, _OPTIMIZERS.value)
    path = cli.output_directory(_OUTPUT.value) / f"{_name()}.json"
    origin = {**cli.provenance(), "repeats": _REPEATS.value, **machine.describe()}
    progress = tqdm(
        collect(chosen, _REPEATS.value), total=len(chosen) + 2, unit="process"
    )
    for results in progress:
        cli.write_json(path, {**origin, **results})
    print(report.tables(results))
    print(f"\nWritten: {path}")


def _name():
    everything = set(_GROUPS.value) == set(cases.GROUPS)
    return _NAME.value or ("all" if everything else "_".join(_GROUPS.value))


if __name__ == "__main__":
    cli.run(main)
