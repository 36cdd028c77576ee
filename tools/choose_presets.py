r"""Takes the median of several meta-trainings of each preset into the library.

    python -m tools.choose_presets --runs=runs/presets

A run of meta-seed 3 is in `<runs>/lo_sam-3`. The median is that of the score of
meta-validation, so a preset is as good as such presets are. The cards then hold no
results: measure them (`paper.checks.preset_accuracy`) and run `tools.make_cards`.
"""

import pathlib

from absl import flags

from binaries import cli
from lrlearn.optimizers import presets
from paper.grid.optimizers import DEFAULT_RHO, LEARNED

_RUNS = flags.DEFINE_string("runs", "runs/presets", "Directory of the runs.")
_NAMES = flags.DEFINE_list("names", [], "Presets; default: all that were run.")
_LIBRARY = pathlib.Path(presets.__file__).parent / "presets"


def main():
    """Writes the presets."""
    runs = {}
    for path in sorted(pathlib.Path(_RUNS.value).glob("*-*/preset")):
        name, _, _ = path.parent.name.rpartition("-")
        runs.setdefault(name, []).append(path)
    names = _NAMES.value or list(runs)
    lacking = [name for name in names if name not in runs]
    if lacking or not names:
        raise ValueError(
            f"A preset must have runs in {_RUNS.value}. Received: {lacking or 'none'}"
        )
    for name in names:
        rule, theta, metadata = median([presets.load_preset(p) for p in runs[name]])
        presets.save_preset(_LIBRARY / name, in_use(name, rule), theta, metadata)
        print(f"{name}: meta-seed {metadata['seed']} of {len(runs[name])}")


def median(trained):
    """Returns the preset of median score, with what is known of all in its metadata.

    Of an even number it is the better one of the two in the middle.

    Args:
        trained: A list of tuples `(rule, theta, metadata)`.
    """
    ordered = sorted(trained, key=lambda preset: preset[2]["meta_validation_score"])
    rule, theta, metadata = ordered[(len(ordered) - 1) // 2]
    scores = {str(m["seed"]): m["meta_validation_score"] for _, _, m in trained}
    return rule, theta, {**metadata, "meta_validation_scores": scores}


def in_use(name, rule):
    """Returns the rule of a preset, its dial at the default of its teacher."""
    teachers = {learned.preset: learned.teacher for learned in LEARNED.values()}
    default_rho = DEFAULT_RHO.get(teachers.get(name))
    if default_rho is None:
        return rule
    return type(rule)(**{**rule.get_config(), "default_rho": default_rho})


if __name__ == "__main__":
    cli.run(main)
