"""What checks of the method say: tables that benchmarks wrote beside the report."""

import numpy as np
import pandas as pd

COVERAGE = "interval_coverage"
ASCENT = "ascent_check"
_BALL = ("relative", 0.02)
_RULES = ("lstm", "mlp")
_WHERE = {
    "shared": "where a meta-seed is good or bad on all tasks alike",
    "crossed": "where it is so on each task anew",
}


def coverage(directory):
    """Returns a sentence on how often intervals hold the truth.

    Args:
        directory: `pathlib.Path` of the report.
    """
    table = _read(directory, COVERAGE)
    if table is None:
        return _unknown("How often intervals hold the truth", COVERAGE)
    parts = []
    for variance, where in _WHERE.items():
        found = table[table["variance"] == variance].sort_values("meta_seeds")
        covered = _listed(f"{100 * share:.1f}" for share in found["covered"])
        sizes = _listed(f"{size}" for size in found["meta_seeds"])
        parts.append(f"in {covered} % of cases {where}")
    return (
        f"In simulations, intervals of 95 % over {sizes} meta-seeds held the truth "
        f"{', and '.join(parts)} (`{COVERAGE}.csv`)."
    )


def ascent(directory, points):
    """Returns sentences on what the cheap search for sharpness misses.

    Args:
        directory: `pathlib.Path` of the report.
        points: Numbers of the search's points in the grid's runs.
    """
    bounds = "Largest losses and gradient norms are lower bounds from a cheap search. "
    table = _read(directory, ASCENT)
    if table is None:
        return bounds + _unknown("How much it misses", ASCENT)
    ball, radius = _BALL
    table = table.query("ball == @ball and radius == @radius and steps in @points")
    if not _compared() <= set(table["optimizer"]):
        numbers = _listed(map(str, sorted(points)))
        return f"{bounds}`{ASCENT}.csv` does not tell what {numbers} points miss."
    texts = []
    for count, found in table.groupby("steps"):
        short = 100 * (1 - found["increase_ratio"].min())
        factors = _listed(_factor(rule, found) for rule in _RULES)
        texts.append(f"At {count} points: up to {short:.0f} %, and {factors}.")
    return (
        f"{bounds}`{ASCENT}.csv` compares it with a strong one at the end of "
        f"{len(table) // len(texts)} runs: by how much the increase within the "
        f"{ball} radius {radius:g} falls short, and by what factor its ratio of the LO "
        "with SAM to LO none is off, geometric mean [least, largest]. "
        + " ".join(texts)
    )


def _compared():
    return {f"{rule}_{teacher}" for rule in _RULES for teacher in ("sam", "none")}


def _factor(rule, found):
    """The cheap search's ratio of taught to untaught over the strong one's."""
    ratios = found.pivot_table("increase_ratio", ["task", "seed"], "optimizer")
    logs = np.log(ratios[f"{rule}_sam"] / ratios[f"{rule}_none"])
    mean, low, high = np.exp([logs.mean(), logs.min(), logs.max()])
    return f"{rule.upper()} {mean:.2f} [{low:.2f}, {high:.2f}]"


def _read(directory, name):
    path = directory / f"{name}.csv"
    return pd.read_csv(path) if path.exists() else None


def _unknown(what, name):
    return (
        f"{what} is not told: no `{name}.csv`, which `python -m benchmarks.{name} "
        "--output=DIR` writes, lies beside this report."
    )


def _listed(texts):
    *texts, last = texts
    return f"{', '.join(texts)} and {last}" if texts else last
