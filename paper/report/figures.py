"""The report's figures, from a study to files.

Functions that draw return a `matplotlib.figure.Figure`, or `None` if there is nothing
to draw.
"""

import io
import itertools
import re

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from lrlearn.evaluation.aggregates import performance_profiles
from lrlearn.files import write_atomically
from lrlearn.plots import loss_landscape
from paper.report import dial, labels, plots
from paper.report.claims import END, MARGINS
from paper.report.effects import effect, intervals
from paper.report.tables import time_to_target

_HAND = ("Adam", "Adam linear", "SGD-M", "SAM")
_HERO = ("Adam", "Adam linear", "untrained", "{rule} none", "{rule} SAM")
_DPI = 100
_SVG = {"svg.hashsalt": "lrlearn", "svg.fonttype": "none"}
_SVG |= {"font.sans-serif": ["DejaVu Sans", "Arial"]}
_FACTORS = np.geomspace(1, 20, 14)
# What is drawn along training: frame, column, label, and whether the axis is log.
_ALONG = {
    "accuracy": ("records", "percent", "Test accuracy, %", False),
    "loss": ("records", "train_loss", "Training loss", True),
    "gradient_norm": ("sharpness", "max_gradient_norm", "Largest gradient norm", True),
}
_RADIUS = 0.1  # of the fixed ball of the gradient norm


def shown(rule):
    """Returns the optimizers that are drawn for a rule, in order."""
    teachers = ("none", *labels.FLATNESS_TEACHERS)
    return [*_HAND, *(f"{rule} {teacher}" for teacher in teachers)]


def write(study, results, directory):
    """Draws all figures into a directory.

    Returns a list of dicts, one a figure that had something to show: `kind`, `file`,
    and `regime` and `rule` if they tell it from others.
    """
    directory.mkdir(parents=True, exist_ok=True)
    drawn = []
    for about, figure in _all(study, results):
        if figure is None:
            continue
        png = about["kind"] in ("hero", "landscape")
        names = [str(about[n]) for n in ("kind", "regime", "rule") if n in about]
        file = "_".join(names).lower() + (".png" if png else ".svg")
        save(figure, directory / file)
        drawn.append({**about, "file": file})
    return drawn


def _all(study, results):
    yield {"kind": "hero"}, hero(study)
    yield {"kind": "effects"}, effects(results)
    yield {"kind": "transfer"}, transfer(study)
    yield {"kind": "dial"}, dial.draw(study)
    for rule in study.rules or list(labels.RULES)[:1]:
        yield {"kind": "profiles", "rule": rule}, profiles(study, rule)
        for regime in study.regimes:
            about = {"regime": regime, "rule": rule}
            for kind in _ALONG:
                yield {"kind": kind, **about}, along(study, kind, regime, rule)
            yield {"kind": "landscape", **about}, landscape(study, regime, rule)


def save(figure, path):
    """Writes a figure, as the same bytes each time."""
    kind = path.suffix[1:]
    options = {"metadata": {"Date": None}} if kind == "svg" else {}
    content = io.BytesIO()
    with plt.rc_context(_SVG):
        figure.savefig(content, format=kind, dpi=_DPI, **options)
    plt.close(figure)
    data = content.getvalue()
    if kind == "svg":  # Coordinates to a tenth of a point make it half as large.
        data = re.sub(rb"(\d\.\d)\d{4,}", rb"\1", re.sub(rb"\n\s+", b"\n", data))
    write_atomically(path, data)


def hero(study):
    """Draws test accuracy along training on one data set, a network a panel.

    Adam at a constant rate and with linear decay, and a learned optimizer before
    meta-training, without teacher and with SAM as its teacher, on the first data set
    that it was run on.
    """
    regime, rule = study.regimes[0], next(iter(study.rules), None)
    names = [name.format(rule=rule) for name in _HERO]
    records = study.of("records", regime)
    records = records[records["optimizer"].isin(names)]
    if not (records["kind"] == "learned").any():
        return None
    dataset = labels.in_order(records["dataset"], labels.DATASETS)[0]
    records = records[records["dataset"] == dataset]
    records = records.assign(percent=100 * records["test_accuracy"])
    size = {"size": (3.2, 2.8), "linewidth": 1.8}
    figure = _panels(study, records, names, "percent", "Test accuracy, %", **size)
    figure.suptitle(f"{study.dataset(dataset)}, {study.about(regime)}")
    return figure


def along(study, kind, regime, rule):
    """Draws a quantity of `_ALONG`: data sets in rows, networks in columns."""
    name, column, label, log = _ALONG[kind]
    frame = study.of(name, regime)
    if name == "sharpness":
        frame = frame[(frame["ball"] == "fixed") & (frame["radius"] == _RADIUS)]
    else:
        frame = frame.assign(percent=100 * frame["test_accuracy"])
    return _panels(study, frame, shown(rule), column, label, log=log)


def _panels(study, frame, names, column, label, **options):
    frame = frame[frame["optimizer"].isin(names)]
    if frame.empty:
        return None
    table = intervals(frame, ["dataset", "network", "optimizer", "step"], column)
    table = _in_order(table, "network", labels.NETWORKS)
    table = _in_order(table, "dataset", labels.DATASETS)
    table = table.rename(columns={"step": "x"}).assign(
        row=table["dataset"].map(study.dataset) + "\n" + label,
        column=table["network"].map(labels.NETWORKS),
        optimizer=table["optimizer"].map(labels.OPTIMIZERS),
    )
    order = [labels.OPTIMIZERS[name] for name in names]
    return plots.line_panels(table, order, **options)


def effects(results):
    """Draws the effects of the claims with their intervals."""
    rows = [
        {
            "panel": r.unit,
            "row": r.claim.title,
            "series": f"{labels.RULES[r.rule]}, {r.regime}",
            **r.interval._asdict(),
        }
        for r in results
        if r.effect
    ]
    if not rows:
        return None
    panels = {
        "points": {
            "title": "Test accuracy (further right: better)",
            "xlabel": "Points above the reference",
            "center": 0,
            "margin": (-MARGINS["points"], MARGINS["points"]),
        },
        "ratio": {
            "title": "Sharpness at the same training loss (further left: flatter)",
            "xlabel": "Increase of the loss in a ball / that of the reference",
            "center": 1,
            "margin": (np.exp(-MARGINS["ratio"]), np.exp(MARGINS["ratio"])),
            "log": True,
        },
    }
    series = itertools.product(labels.RULES.values(), labels.REGIMES)
    order = [f"{lo}, {regime}" for lo, regime in series]
    return plots.forest(pd.DataFrame(rows), order, panels)


def transfer(study):
    """Draws what teachers add to the test accuracy, task by task."""
    rows, measure = [], study.measure(END)
    seen = dict(study.meta_trained)
    cases = itertools.product(study.rules, study.regimes, labels.FLATNESS_TEACHERS)
    for rule, regime, teacher in cases:
        for task in study.tasks[regime]:
            none = {task: [f"{rule} none"]}
            found = effect(measure, regime, [f"{rule} {teacher}"], none)
            if found:
                names = {"row": study.task(task, seen.get(task)), "series": teacher}
                names |= {"panel": f"{labels.RULES[rule]}, {regime}"}
                rows.append({**names, **found.interval._asdict()})
    if not rows:
        return None
    about = {"center": 0, "margin": (-MARGINS["points"], MARGINS["points"])}
    about["xlabel"] = "Points above no teacher"
    frame = pd.DataFrame(rows)
    panels = {name: {**about, "title": name} for name in frame["panel"].unique()}
    width = 2.2 + 2.2 * len(panels)
    return plots.forest(frame, labels.FLATNESS_TEACHERS, panels, width, across=True)


def profiles(study, rule):
    """Draws performance profiles of the gradients to the target, regimes in columns."""
    records = study.frames.records
    records = records[records["optimizer"].isin(shown(rule))]
    times = time_to_target(records, study.target)
    if times.empty:
        return None
    parts = []
    for regime, runs in times.groupby("regime", sort=False):
        table = performance_profiles(runs, "gradients", _FACTORS)
        table = table.reset_index(names="x").melt("x", value_name="mean")
        parts.append(table.assign(column=regime))
    table = _in_order(pd.concat(parts), "column", labels.REGIMES)
    table = table.assign(
        optimizer=table["optimizer"].map(labels.OPTIMIZERS),
        row="Fraction of runs",
        half=np.nan,
    )
    xlabel = "Gradients to the target / fewest"
    order = [labels.OPTIMIZERS[name] for name in shown(rule)]
    figure = plots.line_panels(table, order, xlabel, size=(3.6, 2.4))
    for axes in figure.axes:
        axes.set_xscale("log")
        axes.set_xticks([1, 2, 5, 10, 20], [1, 2, 5, 10, 20])
        axes.minorticks_off()
    return figure


def landscape(study, regime, rule):
    """Draws the loss on planes through what one run of each optimizer reached.

    It is that of the first task of which there are such planes.
    """
    planes = study.of("landscapes", regime)
    planes = planes[planes["optimizer"].isin(shown(rule))]
    task = next(iter(labels.in_order(planes["task"], labels.TASKS)), None)
    planes = planes[planes["task"] == task]
    first = planes["meta_seed"].isna() | (
        planes["meta_seed"] == planes["meta_seed"].min()
    )
    planes = _in_order(planes[first], "optimizer", shown(rule))
    if not np.isfinite(planes["loss"].astype("float64")).any():  # may be no planes
        return None
    names = planes["optimizer"].map(labels.OPTIMIZERS)
    figure = loss_landscape(planes.assign(optimizer=names), "Training loss")
    figure.suptitle(f"{study.task(task, regime)}, {regime}")
    return figure


def _in_order(table, column, known):
    order = labels.in_order(table[column], known)
    return table.sort_values(column, key=lambda c: c.map(order.index), kind="stable")
