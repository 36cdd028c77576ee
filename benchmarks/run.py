r"""CPU time and memory of meta-steps, training steps and optimizers, on one core.

    python -m benchmarks.run
    python -m benchmarks.run --quick
    python -m benchmarks.run --groups=meta_step --only="replay, lstm" --repeats=9

Run it on a quiet machine. Every case runs alone, in a process of its own, under one of
Keras's backends. Times are in CPU milliseconds, median and range of the repeats;
`ratio` is to the first case (meta_step) or to Adam (the others), `start_ms` is from the
call of `fit` to the end of its first step, `peak_mib` is of the process, with all its
optimizers together. Yardsticks, before and after, tell what the machine itself did.
Writes a JSON file, anew after each case, and prints tables; `benchmarks.costs` makes
the documentation's page of it.
"""

from absl import flags
from tqdm.auto import tqdm

from benchmarks import backends, cases, machine, report
from benchmarks.collect import collect
from binaries import cli

_OUTPUT = flags.DEFINE_string("output", "runs/benchmarks", "Output directory.")
_NAME = flags.DEFINE_string("name", None, "Name of the file; default: the groups.")
_GROUPS = flags.DEFINE_list("groups", list(cases.GROUPS), "Groups of cases.")
_BACKENDS = flags.DEFINE_list("backends", list(backends.NAMES), "Keras's backends.")
_ONLY = flags.DEFINE_string("only", "", "Substring of <group>/<case> to be measured.")
_REPEATS = flags.DEFINE_integer(
    "repeats", None, "Repeats of each case; default: 5, or 3 with --quick.", 1
)
_QUICK = flags.DEFINE_bool(
    "quick",
    False,
    "Fewer steps and repeats, no meta_step or memory: under ten minutes.",
)
_OPTIMIZERS = flags.DEFINE_list(
    "optimizers", None, "Those that are compared, adam among them; default: all."
)
_CORE = flags.DEFINE_integer("core", 0, "Core to run on.", lower_bound=0)


def main():
    """Runs the benchmarks by the flags."""
    machine.pin(_CORE.value)
    on = backends.without_missing(_BACKENDS.value)
    chosen = cases.select(
        _GROUPS.value, _ONLY.value, _OPTIMIZERS.value, on, _QUICK.value
    )
    repeats = _REPEATS.value or (3 if _QUICK.value else 5)
    path = cli.output_directory(_OUTPUT.value) / f"{_name()}.json"
    origin = {**cli.provenance(), "repeats": repeats, **machine.describe()}
    origin["versions"] |= backends.versions(on)
    for results in tqdm(
        collect(chosen, repeats), total=len(chosen) + 2, unit="process"
    ):
        cli.write_json(path, {**origin, **results})
    print(report.tables(results))
    print(f"\nWritten: {path}")


def _name():
    everything = set(_GROUPS.value) == set(cases.GROUPS)
    return _NAME.value or ("all" if everything else "_".join(_GROUPS.value))


if __name__ == "__main__":
    cli.run(main)
