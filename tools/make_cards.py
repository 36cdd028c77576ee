r"""Writes measurements into the built-in presets, and their model cards anew.

    python -m tools.make_cards

It runs in a checkout, and reads `paper/results` and `benchmarks/results`; run
`paper.checks.preset_accuracy` before, if presets were made anew.
"""

import json
import pathlib

import pandas as pd

from binaries import cli
from lrlearn.evaluation import summarize
from lrlearn.optimizers import presets
from lrlearn.rules import CoordinatewiseLSTM, ScheduledMLP, ScheduledRule

_ROOT = pathlib.Path(__file__).parents[1]
_RESULTS = _ROOT / "paper" / "results"
_BENCHMARKS = _ROOT / "benchmarks" / "results"
_DATA = {"": "all images", "_small": "1,000 images, 20 % wrong labels"}
_ACCURACY = (
    "Test accuracy in %, mean ± half of the 95 % interval over {seeds} seeds of the "
    "trained networks, of one meta-seed, beside Adam at its default learning rate, and "
    "tuned on validation data for each number of steps. From "
    "`paper/results/preset_accuracy*.csv`."
)
_COST = (
    "CPU time of a training step, Adam's being 1, in `model.fit` on TensorFlow at "
    "batch 128 on one core. From `benchmarks/results/costs.json`."
)
_SCALE = "Scale your inputs, images to [0, 1]: it was meta-trained on such inputs."
_SCHEDULE = (
    "Tell it how long the run is, by `callbacks=[lrlearn.RunLength()]` in `fit`: "
    "without it steps never fall to zero."
)
_DIAL = (
    "The default of its dial rests on the number of epochs alone: on plenty of clean "
    "data, set `rho=0`."
)
_GUARD = (
    "A guard bounds its steps, for networks unlike those of meta-training; "
    "`from_preset(..., guard=False)` leaves it off."
)
_NETWORKS = {
    "MLP 784-20-10": "mlp_20",
    "MLP 784-128-128-10": "mlp_128_128",
    "MLP 784-512-512-10": "mlp_512_512",
    "CNN": "cnn",
    "ResNet-20": "resnet_20",
}


def main():
    """Rewrites every built-in preset; the weights stay as they are."""
    for name, path in presets.built_in().items():
        rule, theta, metadata = presets.load_preset(name)
        facts = measured(name, rule, metadata)
        presets.save_preset(path, rule, theta, {**metadata, **facts})
        print(path / "README.md")


def measured(name, rule, metadata):
    """Returns the metadata of a built-in preset that meta-training does not give.

    Args:
        name: Its name.
        rule: Its `UpdateRule`.
        metadata: Its metadata from meta-training.
    """
    return {
        "results": _accuracy(name),
        "cost": _cost(rule),
        "limits": _limits(name, rule, metadata),
    }


def _accuracy(name):
    runs = _runs()
    summary = _summary(runs)
    rows = [
        {
            "task": task,
            "data": data,
            "steps": step,
            "this preset": _interval(summary.loc[data, task, step, name]),
            "Adam, default": _interval(summary.loc[data, task, step, "adam_default"]),
            "Adam, tuned": _interval(summary.loc[data, task, step, "adam"]),
        }
        for data, task, step in summary.index.droplevel("optimizer").unique()
    ]
    return {"about": _ACCURACY.format(seeds=runs["seed"].nunique()), "rows": rows}


def _runs():
    frames = [
        pd.read_csv(_RESULTS / f"preset_accuracy{suffix}.csv").assign(data=data)
        for suffix, data in _DATA.items()
    ]
    return pd.concat(frames, ignore_index=True)


def _summary(runs):
    """Returns means and intervals of the test accuracy, in %."""
    keys = ["data", "task", "step", "optimizer"]
    return 100 * summarize(runs, keys, ["test_accuracy"])["test_accuracy"]


def _interval(row):
    return f"{row['mean']:.1f} ± {row['interval']:.1f}"


def _cost(rule):
    rows = json.loads((_BENCHMARKS / "costs.json").read_text())["rows"]
    of_steps = "group == 'training_step' and backend == 'tensorflow'"
    ratios = (
        pd.DataFrame(rows).query(of_steps).set_index(["optimizer", "case"])["ratio"]
    )
    subjects = {"this preset": _subject(rule), "SAM around Adam": "sam"}
    rows = [
        {"": title} | {n: round(ratios[subject, c], 2) for n, c in _NETWORKS.items()}
        for title, subject in subjects.items()
    ]
    return {"about": _COST, "rows": rows}


def _subject(rule):
    """Returns the rule's name in the benchmarks."""
    if isinstance(rule, ScheduledRule):
        mlp = isinstance(rule, ScheduledMLP)
        return "scheduled_mlp" if mlp else "scheduled_lstm_10"
    return f"lstm_{len(rule.units)}x{rule.units[0]}"


def _limits(name, rule, metadata):
    means = _summary(_runs())["mean"].unstack("optimizer")
    scheduled = isinstance(rule, ScheduledRule)
    limits = [
        _SCALE,
        *([_SCHEDULE] if scheduled else []),
        *([_DIAL] if "rho" in rule.run_inputs else []),
        _meta_seeds(metadata),
        _against_adam(means[name] - means["adam"]),
        f"Meta-trained on {_tasks(metadata['tasks'])}, in runs of at most "
        f"{metadata['horizon'][1]:,} steps; on other networks, or far beyond, it may "
        "stall or diverge. Try it on validation data.",
    ]
    if metadata["regularizer"] != "none":
        limits += [
            *_against_no_teacher(name, means),
            "That it had a teacher does not show that it finds flatter minima; see "
            "what was measured, in `paper/results/REPORT.md`.",
        ]
    if isinstance(rule, CoordinatewiseLSTM):
        limits.append("An LSTM for each parameter takes memory, and time (see Cost).")
    return [*limits, _GUARD]


def _tasks(names):
    few = len(names) <= 3
    return ", ".join(names) if few else f"{len(names)} small tasks, named above"


def _meta_seeds(metadata):
    """Says of how many meta-trainings it is the median."""
    scores = metadata.get("meta_validation_scores", {})
    if len(scores) < 2:
        return "One meta-seed: another may differ by as much as such presets do."
    told = ", ".join(f"{score:.3g}" for score in sorted(scores.values()))
    return (
        f"Of {len(scores)} meta-seeds this is the one with the median score of "
        f"meta-validation; scores: {told}, less is better."
    )


def _against_adam(gain):
    counts = [
        f"{(part < 0).sum()} of {len(part)} after {step:,} steps"
        for step, part in gain.groupby("step")
    ]
    return f"Rows above where tuned Adam has the higher mean: {', '.join(counts)}."


def _against_no_teacher(name, means):
    """Returns a sentence, or none if there is no such preset without a teacher."""
    base = f"{name.rpartition('_')[0]}_none"
    if base not in means:
        return []
    gain = (means[name] - means[base]).loc[_DATA[""]]
    points = [
        f"{points:+.1f} on {task} after {step:,} steps"
        for (task, step), points in gain.items()
    ]
    return [
        f"Points of test accuracy on {_DATA['']} against `{base}`, which had no "
        f"teacher: {', '.join(points)}."
    ]


if __name__ == "__main__":
    cli.run(main)
