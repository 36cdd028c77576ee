"""Loss, landscape, norm and curvature at the end of training, for four optimizers.

    python -m paper.checks.landscape_table --output=paper/results/landscape

Writes `table.csv`, one row a run, and `table.json` (settings and versions), and prints
the rows of the table in `paper/results/landscape/README.md`.
"""

import functools

import keras
import pandas as pd
import tensorflow as tf
from absl import flags
from tqdm.auto import tqdm

import lrlearn
from binaries import cli
from lrlearn import evaluation
from lrlearn.evaluation import Training

_RHO = flags.DEFINE_float("rho", 0.3, "Radius of SAM around Adam.", lower_bound=0.0)
_OUTPUT = flags.DEFINE_string("output", "runs/landscape", "Output directory.")

_STEPS = 500
_SEEDS = (0, 1, 2)


def main():
    """Trains and measures by the flags."""
    output = cli.output_directory(_OUTPUT.value)
    # Before anything is written, which would make the tree look changed.
    origin = cli.provenance()
    task = lrlearn.tasks.load("digits/mlp", train_size=500, label_noise=0.2)
    rows = []
    for name, training in tqdm(_trainings(task).items(), unit="optimizer"):
        rows += [{"optimizer": name, **_measure(training, seed)} for seed in _SEEDS]
    frame = pd.DataFrame(rows)
    cli.write_table(output / "table.csv", frame, origin)
    print(*_table(frame), sep="\n")


def _trainings(task):
    preset = functools.partial(lrlearn.LearnedOptimizer.from_preset, guard=False)
    sam = lrlearn.regularizers.SAM(_RHO.value)
    return {
        "Adam": Training(task, keras.optimizers.Adam(0.003)),
        "SAM around Adam": Training(task, keras.optimizers.Adam(0.003), sam),
        "lo_none": Training(task, preset("lo_none")),
        "lo_sam": Training(task, preset("lo_sam", rho=0.05)),
    }


def _measure(training, seed):
    """Trains from a seed; the loss is that of all training examples throughout."""
    end = training.run(_STEPS, seed).iloc[-1]
    model, (x, y), loss = training.model, training.task.train, training.task.loss
    params = model.trainable_variables
    square = evaluation.loss_landscape(model, x, y, points=11, loss=loss)
    top = evaluation.top_eigenvalue(model, x, y, loss=loss)
    return {
        "seed": seed,
        "train_loss": end["train_loss"],
        "mean_loss": square["loss"].mean(),
        "norm": float(tf.linalg.global_norm(params)),
        "top_eigenvalue": float(top.value),
        "converged": bool(top.converged),
        "test_accuracy": end["test_accuracy"],
    }


def _table(frame):
    """Yields a line of Markdown for each optimizer, its seeds in order."""
    for name, runs in frame.groupby("optimizer", sort=False):
        runs = runs.drop(columns=["optimizer", "seed", "converged"])
        cells = [", ".join(runs[key].map("{:#.3g}".format)) for key in runs]
        yield f"| {name} | {' | '.join(cells)} |"


if __name__ == "__main__":
    cli.run(main)
