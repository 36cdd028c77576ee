"""The last sections of the report: costs, limits, provenance."""

import pandas as pd

from paper.grid.grid import GRIDS
from paper.grid.optimizers import EMA_MOMENTUM
from paper.report import checks, costs, forecast, names, origin
from paper.report.claims import ENOUGH
from paper.report.document import (
    Bullets,
    Code,
    Heading,
    Paragraph,
    Table,
)


def cost_section(content):
    """Returns the blocks of budgets and costs.

    Args:
        content: A `Content`.
    """
    blocks = [
        Heading("Budgets and costs"),
        Paragraph(
            "CPU seconds of all rows, measurements included. The seeds of a cell run "
            "together, stacked: each has its share."
        ),
        Table(costs.costs(content.every)),
    ]
    if len(content.every.tuning):
        text = (
            "Trials by which hyperparameters were chosen on validation data. Those of "
            "explicit SAM, GSAM and GAM are radii around the better of SGD-M and Adam, "
            "so that they rest on those two's trials besides."
        )
        blocks += [Paragraph(text), Table(costs.budgets(content.every.tuning))]
    return [*blocks, *_forecast(content)]


def _forecast(content):
    seconds = forecast.cpu_seconds(content.rows, GRIDS["full"])
    if seconds is None or origin.grid_name(content.rows) == "full":
        return []
    hours = {kind: f"{s / 3600:.1f}" for kind, s in seconds.items()}
    text = (
        f"By these costs, grid `full` will take {sum(seconds.values()) / 3600:.0f} "
        f"core-hours: meta-training {hours['meta']}, tuning {hours['tuning']}, runs "
        f"{hours['run']}."
    )
    return [Paragraph(text)]


def limit_section(content, directory):
    """Returns the blocks of limits, which follow from what is there.

    Args:
        content: A `Content`.
        directory: `pathlib.Path` of the report, where `checks` looks for tables.
    """
    items = [_seeds(content), checks.coverage(directory), *_missing(content)]
    items += [*_horizons(content), *_shortened(content), *_averaged(content)]
    items += [*costs.ends_of_ranges(content.rows), _ascent(content, directory)]
    if origin.is_jpeg_copy(content.rows):
        items.append("CIFAR-10 is a copy whose images were decoded from JPEG files.")
    return [
        Heading("Limits"),
        Bullets(items),
        Paragraph("What was measured, and on how many examples:"),
        Table(_measures(content)),
    ]


def provenance_section(content, command):
    """Returns the blocks of where the rows came from.

    Args:
        content: A `Content`.
        command: The command that makes this report.
    """
    rows = content.rows
    grid = origin.grid_name(rows)
    runs, key = content.every.runs, content.every.runs["key"].iloc[0]
    again = f"python -m binaries.reproduce --grid={grid or 'NAME'} --store=DIR"
    return [
        Heading("Provenance"),
        Bullets(
            [
                f"Grid: {grid or 'not named'}",
                f"Commits: {', '.join(origin.distinct(rows, 'commit'))}",
                f"Dates: {', '.join(sorted(origin.distinct(rows, 'date')))}",
                f"Versions: {'; '.join(origin.distinct(rows, 'versions'))}",
                f"Seeds: {_numbers(runs['seed'])}",
                f"Meta-seeds: {_numbers(runs['meta_seed'])}",
            ]
        ),
        Paragraph("Commands that made the rows:"),
        Code("\n".join(origin.distinct(rows, "command"))),
        Paragraph("One cell again, by the key of its row, and this report:"),
        Code(f"{again} --verify={key}\n{command}"),
    ]


def _seeds(content):
    runs = content.frames.runs
    counts = {
        "seeds": runs["seed"].nunique(),
        "meta-seeds": runs["meta_seed"].nunique(),
    }
    text = ", ".join(f"{count} {name}" for name, count in counts.items())
    few = any(0 < count < ENOUGH for count in counts.values())
    too_few = f": fewer than {ENOUGH} make intervals too short" if few else ""
    return f"There are {text} at most{too_few}."


def _ascent(content, directory):
    settings = origin.settings(content.rows).values()
    points = {s["measures"]["ascent_steps"] for s in settings if "measures" in s}
    return checks.ascent(directory, points)


def _horizons(content):
    every, kept = content.every.runs, content.frames.runs
    if len(every) == len(kept):
        return []
    return [
        f"{len(every) - len(kept)} runs of other lengths than most of their task are "
        "not in the tables and figures."
    ]


def _shortened(content):
    """Tells which runs are shorter than those of the grid `full`."""
    shorter = {}
    for task, regime, steps in origin.settings(content.rows):
        dataset, network = task.split("/")
        whole = max(GRIDS["full"].horizons_of(regime, dataset, network))
        if steps < whole:
            place = f"{content.names.task(task, regime)} {regime}"
            shorter.setdefault((steps, whole), []).append(place)
    return [
        f"{steps} of the {whole} steps of grid `full`: {', '.join(places)}."
        for (steps, whole), places in shorter.items()
    ]


def _averaged(content):
    """Tells what the averages of Adam-EMA still hold of the initial weights."""
    runs = content.every.runs
    steps = runs[runs["optimizer"] == "Adam-EMA"]["steps"].min()
    share = EMA_MOMENTUM**steps
    if not share >= 0.01:
        return []
    return [
        f"After {steps} steps, {100 * share:.0f} % of the average of Adam-EMA are the "
        "initial weights."
    ]


def _missing(content):
    total, lacking = origin.missing(content.rows, origin.grid_name(content.rows))
    if total is None:
        return ["The grid's definition is not known: missing cells cannot be listed."]
    if not lacking:
        return [f"All {total} runs of the grid are there."]
    places = {}
    for (optimizer, task, regime), count in lacking.items():
        place = f"{content.names.task(task, regime)} {regime} ({count})"
        places.setdefault(optimizer, []).append(place)
    alike = {}
    for optimizer in names.optimizers(places):
        alike.setdefault(", ".join(places[optimizer]), []).append(optimizer)
    return [
        f"Missing runs, of each of {', '.join(optimizers)}: {where}."
        for where, optimizers in alike.items()
    ]


def _measures(content):
    rows = []
    for (task, regime, steps), settings in origin.settings(content.rows).items():
        measures, data = settings.get("measures", {}), settings.get("regime", {})
        rows.append(
            {
                "task": content.names.task(task, regime),
                "regime": regime,
                "steps": steps,
                "training examples": data.get("train_size") or "all",
                "wrong labels": data.get("label_noise"),
                "batch": data.get("batch_size"),
                "sharpness examples": _at_most(measures, "sharpness_examples", data),
                "ascent points": measures.get("ascent_steps"),
                "Hessian examples": _at_most(measures, "eigenvalue_examples", data),
                "most iterations": measures.get("eigenvalue_iterations"),
            }
        )
    return pd.DataFrame(rows)


def _at_most(measures, name, data):
    """Returns a number of examples, or all where there are no more."""
    sizes = (measures.get(name), data.get("train_size"))
    return min((size for size in sizes if size is not None), default=None)


def _numbers(values):
    return ", ".join(f"{value:g}" for value in sorted(values.dropna().unique())) or "–"
