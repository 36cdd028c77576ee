"""What a grid will cost, by what the rows of another one did."""

import dataclasses
import statistics

from lrlearn.evaluation.stacked_sharpness import RADII
from paper.grid.cells import Jobs
from paper.grid.grid import Measures

_BALLS = sum(map(len, RADII.values()))
_MEASURES = {field.name for field in dataclasses.fields(Measures)}


def cpu_seconds(rows, grid):
    """Returns the CPU seconds that a grid will take, by kind of row.

    Steps cost what they did on the same task with the same optimizer; the rest of a run
    is in proportion to the passes over examples that its measures take. A tuning is in
    proportion to its steps and seeds.

    Args:
        rows: Rows of another grid, a list of dicts.
        grid: A `Grid`.

    Returns:
        A dict of kinds to CPU seconds, or `None` where the rows lack an optimizer on
        some task, or measured other things than this version does.
    """
    runs = [row for row in rows if row["kind"] == "run"]
    if any(row["settings"].get("measures", {}).keys() != _MEASURES for row in runs):
        return None
    prices = _prices(rows)
    total = {"meta": 0.0, "tuning": 0.0, "run": 0.0}
    for job in Jobs(grid, lambda dataset: {}).all():
        price = prices.get(_place(job.kind, job.cell))
        if price is None:
            return None
        if job.kind == "tuning":
            amount = job.cell["steps"] * len(job.settings["seeds"]), 0
        elif job.kind == "run":
            amount = job.cell["steps"], _passes(job.settings["measures"])
        else:
            amount = 1, 0
        cost = sum(p * a for p, a in zip(price, amount, strict=True))
        total[job.kind] += cost * len(job.cells)
    return total


def _prices(rows):
    """Returns CPU seconds a step and a pass, by optimizer and task."""
    found = {}
    for row in rows:
        found.setdefault(_place(row["kind"], row["cell"]), []).append(_price(row))
    return {
        place: tuple(map(statistics.fmean, zip(*prices, strict=True)))
        for place, prices in found.items()
    }


def _price(row):
    seconds = row["cpu_seconds"]
    if row["kind"] == "meta":
        return seconds, 0.0
    if row["kind"] == "tuning":
        return seconds / (row["cell"]["steps"] * len(row["settings"]["seeds"])), 0.0
    training = row["training_cpu_seconds"]
    passes = _passes(row["settings"]["measures"])
    return training / row["cell"]["steps"], (seconds - training) / passes


def _passes(measures):
    """Returns passes over one example, forward and backward, of a run's measures."""
    measures = Measures(**measures)
    points = _BALLS * measures.ascent_steps + 1
    sharpness = len(measures.sharpness_at) * points * measures.sharpness_examples
    # Only forward, a third of a pass: on three splits, and on the plane. A
    # Hessian-vector product is two gradients.
    losses = measures.records * measures.examples
    curvature = 2 * measures.eigenvalue_iterations * measures.eigenvalue_examples
    plane = measures.landscape_points**2 * measures.sharpness_examples / 3
    return sharpness + losses + curvature + plane


def _place(kind, cell):
    names = ("optimizer", "dataset", "network", "regime")
    return kind, *(cell.get(name) for name in names)
