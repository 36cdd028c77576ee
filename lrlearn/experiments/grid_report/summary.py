"""The first screen of the report: verdicts, and how much of the grid is there."""

import pandas as pd

from lrlearn.experiments.grid_report import origin, tables
from lrlearn.experiments.grid_report.claims import ENOUGH, RATIO
from lrlearn.experiments.grid_report.document import Bullets, Heading, Paragraph, Table

_READING = (
    "Cells: the verdict, and the effect with its 95 % interval (hierarchical bootstrap "
    "over meta-seeds and seeds). Claims 1 and 4 and the controls: points of test "
    "accuracy, above 0 claimed. Claims 2 and 3: ratio of the largest increase of the "
    "loss within a ball at matched training loss, below 1 claimed. Tasks count where "
    "all optimizers of the claim have runs; in the tables below, `all tasks` are those "
    "that a row has. "
    "[The protocol](PROTOCOL.md) says what is computed."
)


def section(content):
    """Returns the blocks of the summary.

    Args:
        content: A `Content`.
    """
    judge, places = (
        content.judge,
        [(regime, rule) for rule in content.rules for regime in content.regimes],
    )
    claims = [c for p in places for c in (*judge.claims(*p), *judge.controls(*p))]
    notes = Bullets(_state(content))
    title = [Heading("Report of the grid", 1), *_provisional(claims)]
    if not claims:
        return [*title, Paragraph("There is no run of a learned optimizer."), notes]
    return [*title, Table(_table(claims)), Paragraph(_READING), notes]


def _provisional(claims):
    if not any(claim.provisional for claim in claims):
        return []
    return [
        Paragraph(
            f"**Verdicts are provisional**: there are fewer than {ENOUGH} "
            f"meta-seeds or {ENOUGH} seeds, and intervals are too short."
        )
    ]


def _table(claims):
    rows = {}
    for claim in claims:
        row = rows.setdefault(claim.name, {"claim": claim.name})
        row[f"{claim.rule} {claim.regime}"] = _cell(claim)
    return pd.DataFrame(rows.values())


def _cell(claim):
    effects = [
        f"{f'{part.name}: ' if len(claim.parts) > 1 else ''}"
        + (tables.ratio if part.unit == RATIO else tables.points)(part.effect)
        for part in claim.parts
        if part.effect
    ]
    counts = [(p.effect.tasks, p.effect.all_tasks) for p in claim.parts if p.effect]
    some = {f"({n} of {all_} tasks)" for n, all_ in counts if n < all_}
    return " ".join([claim.verdict, "; ".join(effects), *sorted(some)]).strip()


def _state(content):
    runs = content.every.runs
    total, lacking = origin.missing(content.rows, origin.grid_name(content.rows))
    share = f"{len(runs)} runs" if total is None else f"{len(runs)} of {total} runs"
    missing = sum(lacking.values())
    broken = runs[runs["diverged"]]["optimizer"].value_counts()
    listed = ", ".join(f"{name} {count}" for name, count in broken.items())
    return [
        f"{share} of the grid are there, {len(content.every.meta)} meta-trainings and "
        f"{len(content.every.tuning)} tunings."
        + (f" Missing: {missing} runs, listed under Limits." if missing else ""),
        f"{runs['diverged'].sum()} runs diverged{f': {listed}' if listed else ''}. "
        "They count as they ended.",
    ]
