r"""Teachers that adapt in meta-training, beside fixed ones at the same budget.

    python -m paper.checks.adaptive_teachers
    python -m paper.checks.adaptive_teachers --teachers=none,L2,SAM --meta_seeds=1

Each meta-trains the MLP rule without a dial on small tasks of digits; the learned
optimizer then trains the tasks of the grid, none of which it saw. Writes one row a run
and record, and goes on where it stopped.
"""

import fnmatch
import itertools

import keras
import pandas as pd
from absl import flags
from tqdm.auto import tqdm

import lrlearn
from binaries import cli
from lrlearn.evaluation import Training
from lrlearn.meta import GapFeedback, LearnedMixture
from lrlearn.regularizers import SAM
from paper.grid.grid import GRIDS
from paper.grid.meta_training import load_task
from paper.grid.optimizers import TEACHERS

_STEPS = flags.DEFINE_integer("steps", 400, "Number of meta-steps.", lower_bound=1)
_META_SEEDS = flags.DEFINE_integer("meta_seeds", 2, "Number of meta-trainings of each.")
_SEEDS = flags.DEFINE_integer("seeds", 3, "Number of runs on each task.")
_TASKS = flags.DEFINE_string("tasks", "*", "Pattern of tasks, such as small/mnist/*.")
_OUTPUT = flags.DEFINE_string("output", "runs/checks", "Output directory.")

_STRENGTH = 0.045  # the geometric middle of the dial's range in the study
_GRID = "first_pass"
_KEYS = ["teacher", "meta_seed", "task"]


def _fixed(name):
    teacher = TEACHERS[name]
    return teacher and teacher.scaled(_STRENGTH)


def _rising():
    """Returns SAM at twice the strength in the end, and the same in the mean."""
    rho = keras.optimizers.schedules.PolynomialDecay(0.0, _STEPS.value, 2.0 * _STRENGTH)
    return SAM(rho, relative=True)


_FIXED = ["none", "SAM", "GSAM", "GAM", "L2"]
_MAKE = {
    **{name: lambda name=name: _fixed(name) for name in _FIXED},
    "SAM rising": _rising,
    "SAM feedback": lambda: GapFeedback(_fixed("SAM")),
    "learned mixture": lambda: LearnedMixture([_fixed(name) for name in _FIXED]),
}
_TEACHERS = flags.DEFINE_list("teachers", list(_MAKE), "Teachers.")
flags.register_validator(
    "teachers",
    lambda names: set(names) <= set(_MAKE),
    f"--teachers must be of {', '.join(_MAKE)}.",
)


def main():
    """Runs the check by the flags."""
    output = cli.output_directory(_OUTPUT.value)
    path, origin = output / "adaptive_teachers.csv", cli.provenance()
    frame = pd.read_csv(path) if path.exists() else pd.DataFrame(columns=_KEYS)
    _check_counts(frame)
    done = set(frame[_KEYS].itertuples(index=False, name=None))
    names = [name for name in GRIDS[_GRID].tasks() if _matches(name)]
    for seed, teacher in tqdm([*itertools.product(_seeds(), _TEACHERS.value)]):
        left = [name for name in names if (teacher, seed, str(name)) not in done]
        optimizer = left and _meta_train(output / "meta", teacher, seed)
        for name in left:
            rows = _run(name, optimizer()).assign(
                teacher=teacher,
                meta_seed=seed,
                meta_steps=_STEPS.value,
                task=str(name),
                commit=origin["commit"],
            )
            frame = pd.concat([frame, rows] if len(frame) else [rows])
            cli.write_table(path, frame, origin, "%.6g")
    print(beside_none(frame).round(2).to_string())


def _check_counts(frame):
    """Raises a `ValueError` if runs are there with other counts than the flags'."""
    if frame.empty:
        return
    there = {"steps": frame["meta_steps"].max(), "seeds": frame["seed"].max() + 1}
    wanted = {"steps": _STEPS.value, "seeds": _SEEDS.value}
    if there != wanted:
        raise ValueError(
            f"--steps and --seeds must be those of the runs that are there, {there}. "
            f"Received: {wanted}"
        )


def beside_none(frame):
    """Returns the test accuracy at the end, in points above that without a teacher.

    Args:
        frame: One row a run and record: `teacher`, `meta_seed`, `task`, `seed`, `step`
            and `test_accuracy`.

    Returns:
        A frame with a row for each teacher. For each regime, `small` and `full`, it has
        the mean over tasks, runs and meta-trainings, the least and most of a
        meta-training, and on how many of the tasks the mean is above; NaN without
        runs that have no teacher.
    """
    ends = frame[frame["step"] == frame.groupby(_KEYS)["step"].transform("max")]
    mean = 100 * ends.groupby(_KEYS)["test_accuracy"].mean()
    none = mean[mean.index.get_level_values("teacher") == "none"].droplevel(0)
    gain = mean - none.reindex(mean.droplevel(0).index).to_numpy()
    gain = gain.rename("points").reset_index()
    gain["regime"] = gain["task"].str.split("/").str[0]
    columns = {}
    for regime, part in gain.groupby("regime", sort=False):
        of_teacher = part.groupby("teacher", sort=False)["points"]
        of_run = part.groupby(["teacher", "meta_seed"], sort=False)["points"].mean()
        of_task = part.groupby(["teacher", "task"], sort=False)["points"].mean()
        columns[regime, "mean"] = of_teacher.mean()
        columns[regime, "least"] = of_run.groupby("teacher", sort=False).min()
        columns[regime, "most"] = of_run.groupby("teacher", sort=False).max()
        columns[regime, "tasks above"] = (
            (of_task > 0).groupby("teacher", sort=False).sum()
        )
    return pd.DataFrame(columns)


def _matches(name):
    return fnmatch.fnmatch(str(name), _TASKS.value)


def _seeds():
    return range(_META_SEEDS.value)


def _meta_train(directory, teacher, seed):
    """Returns a function that makes the learned optimizer; it goes on if it can."""
    rule = lrlearn.rules.ScheduledMLP()
    recipe = lrlearn.meta.Recipe.of(rule)
    steps = _STEPS.value
    trainer = lrlearn.MetaTrainer(
        rule,
        lrlearn.tasks.load_collection("digits"),
        _MAKE[teacher](),
        meta_optimizer=recipe.meta_optimizer(steps),
        jit_compile=False,  # compiling would take longer than all else
        optimizees_per_task=8,
        validation_every=None,
        seed=seed,
    )
    path = directory / f"{teacher.replace(' ', '_')}-{seed}"
    trainer.fit(steps, checkpoint_dir=path, verbose=0)
    theta = trainer.theta
    return lambda: lrlearn.LearnedOptimizer(rule, theta)


def _run(name, optimizer):
    (steps,) = GRIDS[_GRID].horizons_of(name)
    training = Training(load_task(name), optimizer, count=_SEEDS.value)
    table = training.run(steps, range(_SEEDS.value))
    return table[table["step"] > 0]


if __name__ == "__main__":
    cli.run(main)
