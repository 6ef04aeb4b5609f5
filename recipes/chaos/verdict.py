"""What a cell came to: measured, held against what is declared, and told as a table and as JSON."""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from engine.errors import SprError
from recipes.chaos import clients
from recipes.chaos.clients import Told
from recipes.chaos.stage import Stage
from recipes.chaos.table import Cell

SETTLE = 2.0  # seconds that are watched after the processes are well


@dataclass(frozen=True, slots=True)
class Verdict:
    """Of one cell. partial: answers that say they are not whole. p50, p99, quiet_p99: milliseconds.

    back: seconds after the processes were well of the last search that failed or was partial, 0: none.
    misses: how the outcome differs from the declared one, a sentence each; none: the cell holds.
    """

    stage: str
    fault: str
    component: str
    declared: str
    searches: int
    failed: int
    partial: int
    wrong: int
    p50: float
    p99: float
    quiet_p99: float
    back: float
    reasons: dict[str, int]
    misses: tuple[str, ...]


def judge(stage: Stage, cell: Cell, seconds: float) -> Verdict:
    """Do what a cell says to a stage, watch the clients, and hold it against the oracle."""
    stage.rest(seconds / 2)
    began, broken = time.time(), ""
    well = began
    try:
        well = stage.befall(cell, seconds)
    except SprError as error:
        broken = str(error)
    time.sleep(SETTLE)
    told = stage.load.between(began, time.time())
    stage.load.told.clear()
    wrong = clients.wrong(told, stage.oracle)
    bad = [one for one in told if one.error or one.partial]
    back = max((one.began - well for one in bad), default=0.0)
    verdict = _measured(stage, cell, told, len(wrong), max(0.0, back))
    misses = [*missed(verdict, cell), *wrong[:2], *([broken] if broken else [])]
    return replace(verdict, misses=tuple(misses))


def _measured(stage: Stage, cell: Cell, told: Sequence[Told], wrong: int, back: float) -> Verdict:
    times = [1000 * one.seconds for one in told if not one.error] or [0.0]
    p50, p99 = np.percentile(times, [50, 99])
    reasons = Counter(word for one in told for word in one.partial)
    reasons.update(one.error for one in told if one.error)
    return Verdict(
        stage.name,
        cell.fault,
        cell.component,
        cell.outcome.name,
        len(told),
        sum(bool(one.error) for one in told),
        sum(bool(one.partial) for one in told),
        wrong,
        round(float(p50), 1),
        round(float(p99), 1),
        round(1000 * float(np.percentile(stage.quiet, 99)), 1),
        round(back, 2),
        dict(reasons.most_common(5)),
        (),
    )


def missed(verdict: Verdict, cell: Cell) -> list[str]:
    """Return a sentence for everything in which a verdict differs from what its cell declares."""
    declared, misses = cell.outcome, []
    if verdict.wrong:
        misses.append(f"{verdict.wrong} answers differ from the oracle of their version without saying so")
    if verdict.failed and not declared.failed:
        misses.append(f"{verdict.failed} searches failed")
    if verdict.partial and not declared.partial:
        misses.append(f"{verdict.partial} answers were partial")
    if verdict.back > declared.back:
        misses.append(f"whole {verdict.back:g} s after the processes were well, not {declared.back:g} s")
    limit = declared.slower * verdict.quiet_p99
    if limit and verdict.p99 > limit:
        misses.append(f"p99 is {verdict.p99:.0f} ms, more than {declared.slower:g} x {verdict.quiet_p99:.0f}")
    return misses


def show(verdicts: Sequence[Verdict]) -> None:
    """Print the table."""
    table = Table("stage", "fault", "component", "declared", "searches", "failed", "partial", "wrong")
    for name in ("p50", "p99", "quiet p99", "back s"):
        table.add_column(name, justify="right")
    table.add_column("verdict")
    for one in verdicts:
        about = (one.stage, one.fault, one.component, one.declared)
        counts = (one.searches, one.failed, one.partial, one.wrong)
        figures = (f"{one.p50:.0f}", f"{one.p99:.0f}", f"{one.quiet_p99:.0f}", f"{one.back:g}")
        table.add_row(*about, *map(str, counts), *figures, "missed" if one.misses else "held")
    Console(width=150).print(table)
    for one in verdicts:
        for miss in one.misses:
            print(f"{one.stage} {one.fault}:{one.component}: {miss}")


def page(verdicts: Sequence[Verdict]) -> str:
    """Return the table as Markdown: a row a fault, a column a component, a table a stage."""
    lines: list[str] = []
    for stage in dict.fromkeys(one.stage for one in verdicts):
        mine = {(one.fault, one.component): one for one in verdicts if one.stage == stage}
        columns = dict.fromkeys(component for _, component in mine)
        lines += ["", f"| {stage} | {' | '.join(columns)} |", "|---" * (1 + len(columns)) + "|"]
        for fault in dict.fromkeys(fault for fault, _ in mine):
            cells = (_cell(mine.get((fault, component))) for component in columns)
            lines.append(f"| {fault} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(one: Verdict | None) -> str:
    if one is None:
        return ""
    ratio = one.p99 / one.quiet_p99 if one.quiet_p99 else 0.0
    return f"{one.failed}, {one.partial}, {one.wrong}, {ratio:.1f}x{' **missed**' if one.misses else ''}"


def as_json(verdicts: Sequence[Verdict], **about: Any) -> dict[str, Any]:
    """Return the run for a program."""
    missed = sum(bool(one.misses) for one in verdicts)
    return {**about, "missed": missed, "cells": [asdict(one) for one in verdicts]}
