"""The first screen of the report: verdicts, and how much of the grid is there."""

import numpy as np
import pandas as pd

from paper.report import names, origin, tables
from paper.report.claims import (
    ENOUGH,
    GENERALIZATION,
    RATIO,
    TRANSFER,
)
from paper.report.document import Bullets, Heading, Paragraph, Table
from paper.report.explorations import WITHOUT, explorations

_READING = (
    "Cells: the verdict, and the effect with its 95 % interval (hierarchical bootstrap "
    "over meta-seeds and seeds). Claims 1 and 4 and the controls: points of test "
    "accuracy, above 0 claimed. Claims 2 and 3: ratio of the largest increase of the "
    "loss within a ball at matched training loss, below 1 claimed. Tasks count where "
    "all optimizers of the claim have runs; in the tables below, `all tasks` are those "
    "that a row has. "
    "[The protocol](PROTOCOL.md) says what is computed."
)
_EXPLORATION = (
    "Asked after the data had been seen, so without verdicts. Where learned optimizers "
    "stay at chance, the loss is flat without being small: hence effects *without "
    "CIFAR-10*. An optimizer that learns wrong labels more slowly is ahead at a fixed "
    "number of steps: hence test accuracy *stopped early*, at each run's record of "
    "best validation accuracy, and *at matched loss*, where training losses are equal "
    "(both on the examples of records). What LO none does in claim 3 is no work of a "
    "regularizer. *Bracketed*: only pairs of which both runs have records on both "
    "sides of the matched loss; elsewhere the nearest record of the run that is ahead "
    "stands in, and its loss is lower. The last rows tell how far the controls are "
    "from LO none; the weight of L2 was not tuned. Ratios: (pairs that count / all)."
)
_BY_META_SEED = (
    "With so few meta-seeds, an interval is hardly more than the effects at each of "
    "them, which are these, in the order of meta-seeds:"
)
_STUCK = 0.12  # test accuracy of a run that has not learned, with ten classes


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
    more = [effect for place in places for effect in explorations(content, *place)]
    notes = Bullets([*_state(content), *_same(content), *_without(claims, more)])
    title = [Heading("Report of the grid", 1), *_provisional(claims)]
    if not claims:
        return [*title, Paragraph("There is no run of a learned optimizer."), notes]
    return [
        *title,
        Table(_table(claims, _verdict)),
        Paragraph(_READING),
        notes,
        Heading("Not in the protocol"),
        Paragraph(_EXPLORATION),
        Table(_table(more, _effects)),
        *_at_each_meta_seed(claims),
    ]


def _provisional(claims):
    if not any(claim.provisional for claim in claims):
        return []
    return [
        Paragraph(
            f"**Verdicts are provisional**: there are fewer than {ENOUGH} "
            f"meta-seeds or {ENOUGH} seeds, and intervals are too short."
        )
    ]


def _table(claims, cell):
    rows = {}
    for claim in claims:
        row = rows.setdefault(claim.name, {"claim": claim.name})
        row[f"{claim.rule} {claim.regime}"] = cell(claim) or None
    return pd.DataFrame(rows.values())


def _verdict(claim):
    return f"{claim.verdict} {_effects(claim, tables.ratio)}".strip()


def _effects(claim, ratio=tables.ratio_of_pairs):
    effects = _parts(claim, tables.points, ratio)
    counts = [(p.effect.tasks, p.effect.all_tasks) for p in claim.parts if p.effect]
    some = {f"({n} of {all_} tasks)" for n, all_ in counts if n < all_}
    return " ".join([effects, *sorted(some)]).strip()


def _parts(claim, points, ratio):
    return "; ".join(
        f"{f'{part.name}: ' if len(claim.parts) > 1 else ''}"
        + (ratio if part.unit == RATIO else points)(part.effect)
        for part in claim.parts
        if part.effect
    )


def _at_each_meta_seed(claims):
    effects = [part.effect for claim in claims for part in claim.parts if part.effect]
    if not any(0 < len(effect.by_meta_seed) < ENOUGH for effect in effects):
        return []
    points, ratio = "{:+z.1f}", "{:.2f}"
    table = _table(
        claims,
        lambda claim: _parts(
            claim,
            lambda effect: " / ".join(map(points.format, effect.by_meta_seed)),
            lambda effect: " / ".join(map(ratio.format, np.exp(effect.by_meta_seed))),
        ),
    )
    return [Paragraph(_BY_META_SEED), Table(table)]


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
        *_chance(content),
    ]


def _chance(content):
    """Tells which runs did not learn: all data sets have ten classes."""
    runs = content.every.runs
    stuck = runs[runs["test_accuracy"] < _STUCK]
    if stuck.empty:
        return []
    places = ", ".join(
        f"{content.names.task(task, regime)} {regime} {(part['task'] == task).sum()}"
        for regime in content.regimes
        for part in [stuck[stuck["regime"] == regime]]
        for task in names.tasks(part["task"])
    )
    counts = stuck["optimizer"].value_counts()
    listed = ", ".join(f"{o} {counts[o]}" for o in names.optimizers(counts.index))
    learned = (stuck["kind"] == "learned").sum()
    return [
        f"{len(stuck)} runs, {learned} of them of learned optimizers, did not learn: "
        f"their test accuracy is below {100 * _STUCK:.0f} %, chance being 10 %. By "
        f"task: {places}. By optimizer: {listed}."
    ]


def _same(content):
    """Tells where two claims are one, as no task was meta-trained on."""
    judge = content.judge
    same = [
        f"`{regime}`"
        for regime in content.regimes
        if judge.unseen(judge.tasks(regime), regime) == judge.tasks(regime)
    ]
    if not (same and content.rules):
        return []
    return [
        f"In regime {' and '.join(same)} no task was meta-trained on: "
        f"claim {TRANSFER[0]} is claim {GENERALIZATION[0]} there, and no further "
        "evidence."
    ]


def _without(claims, more):
    """Tells which verdicts rest on CIFAR-10."""
    others = {(e.name, e.regime, e.rule): e for e in more}
    changed = [
        f"{claim.name}, {claim.rule} {claim.regime} ({other.verdict})"
        for claim in claims
        for other in [others.get((WITHOUT.get(claim.name), claim.regime, claim.rule))]
        if other and "not measured" not in (claim.verdict, other.verdict)
        if claim.verdict != other.verdict
    ]
    if not changed:
        return []
    return [f"Without CIFAR-10 these verdicts would be others: {'; '.join(changed)}."]
