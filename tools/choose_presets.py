r"""Takes the median of several meta-trainings of each preset into the library.

    python -m tools.choose_presets --runs=runs/presets

A run of meta-seed 3 is in `<runs>/lo_sam-3`. The median is that of a score of
meta-validation, on the same problems for all, so a preset is as good as such presets
are. The cards then hold no results: measure them (`paper.checks.preset_accuracy`) and
run `tools.make_cards`.
"""

import pathlib

from absl import flags

from binaries import cli
from lrlearn.optimizers import presets
from paper.grid.grid import GRIDS
from paper.grid.meta_training import make_trainer
from paper.grid.optimizers import DEFAULT_RHO, LEARNED

_RUNS = flags.DEFINE_string("runs", "runs/presets", "Directory of the runs.")
_NAMES = flags.DEFINE_list("names", [], "Presets; default: all that were run.")
_SEED = 1000  # of the problems, apart from the meta-seeds
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
        trained = [presets.load_preset(path) for path in runs[name]]
        rule, theta, metadata = median(trained, scores(name, trained))
        presets.save_preset(_LIBRARY / name, in_use(name, rule), theta, metadata)
        print(f"{name}: meta-seed {metadata['seed']} of {len(runs[name])}")


def scores(name, trained):
    """Returns the scores of meta-trainings, on the same problems if the study has them.

    Their own scores are on problems of their meta-seed's, which differ in difficulty.

    Args:
        name: Name of the preset.
        trained: A list of tuples `(rule, theta, metadata)`.
    """
    learned = next((each for each in LEARNED.values() if each.preset == name), None)
    if learned is None or len(trained) == 1:
        return [metadata["meta_validation_score"] for *_, metadata in trained]
    trainer, _ = make_trainer(learned, _SEED, GRIDS["full"].meta_training)
    return [trainer.score(theta) for _, theta, _ in trained]


def median(trained, scores):
    """Returns the preset of median score, with the scores of all in its metadata.

    Of an even number it is the better one of the two in the middle.

    Args:
        trained: A list of tuples `(rule, theta, metadata)`.
        scores: Their scores, lower is better.
    """
    order = sorted(range(len(trained)), key=scores.__getitem__)
    rule, theta, metadata = trained[order[(len(order) - 1) // 2]]
    seeds = [str(each["seed"]) for *_, each in trained]
    by_seed = dict(zip(seeds, scores, strict=True))
    return rule, theta, {**metadata, "meta_validation_scores": by_seed}


def in_use(name, rule):
    """Returns the rule of a preset, its dial at the default of its teacher."""
    teachers = {learned.preset: learned.teacher for learned in LEARNED.values()}
    default_rho = DEFAULT_RHO.get(teachers.get(name))
    if default_rho is None:
        return rule
    return type(rule)(**{**rule.get_config(), "default_rho": default_rho})


if __name__ == "__main__":
    cli.run(main)
