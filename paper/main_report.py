"""Tables, files and figures of the main job."""

import dataclasses
import json
import pathlib

import matplotlib.pyplot as plt
import pandas as pd

from lrlearn import plots
from lrlearn.evaluation import summarize

_RUN = ["network", "optimizer", "seed"]


def summary_table(results):
    """Returns the summary as text, mean ± half of the 95 % interval over seeds.

    Args:
        results: A `Results` of the main job.

    Returns:
        A `pandas.DataFrame` of strings, one row for each network and optimizer: test
        accuracy, training loss, and the increase of the loss within each radius.
    """
    trajectories = results.trajectories
    last = trajectories[trajectories["step"] == trajectories["step"].max()]
    increase = results.sharpness.pivot(index=_RUN, columns="radius", values="increase")
    increase.columns = [f"increase r={radius:g}" for radius in increase.columns]
    runs = last.merge(increase.reset_index(), on=_RUN)
    runs["test accuracy %"] = 100 * runs["test_accuracy"]
    runs = runs.rename(columns={"train_loss": "train loss"})
    columns = ["test accuracy %", "train loss", *increase.columns]
    summary = summarize(runs, _RUN[:2], columns)
    cells = {name: summary[name].apply(_cell, axis=1) for name in columns}
    return pd.DataFrame(cells).rename_axis(_RUN[:2])


def write(results, job, directory, provenance):
    """Writes CSV files, `results.json` and figures.

    Args:
        results: A `Results` of the main job.
        job: Its `MainJob`.
        directory: Where to; files of an earlier report are replaced.
        provenance: A JSON-able dict: command, commit, versions, CPU time.

    Returns:
        A list of the paths written.
    """
    directory = pathlib.Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    frames = dataclasses.asdict(results)
    paths = [_write_csv(directory / f"{n}.csv", frame) for n, frame in frames.items()]
    table = summary_table(results)
    paths.append(_write_csv(directory / "summary.csv", table.reset_index()))
    content = {
        "settings": dataclasses.asdict(job),
        **provenance,
        "summary": table.reset_index().to_dict("records"),
    }
    path = directory / "results.json"
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n")
    return [*paths, path, *_figures(results, directory)]


def _cell(row):
    return f"{row['mean']:.3g} ± {row['interval']:.2g}"


def _write_csv(path, frame):
    frame.to_csv(path, index=False)
    return path


def _figures(results, directory):
    drawn = {
        "train_loss": plots.training_curves(
            results.trajectories, "train_loss", "Training loss"
        ),
        "test_accuracy": plots.training_curves(results.trajectories),
        "increase": plots.sharpness_by_radius(results.sharpness),
        "max_gradient_norm": plots.sharpness_by_radius(
            results.sharpness, "max_gradient_norm", "Largest gradient norm"
        ),
    }
    for name, figure in drawn.items():
        figure.savefig(directory / f"{name}.png", dpi=150)
        plt.close(figure)
    return [directory / f"{name}.png" for name in drawn]
