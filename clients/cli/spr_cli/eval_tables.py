"""Reports and comparisons as tables."""

from collections.abc import Iterable
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from engine.printable import printable

FIRST = ("NDCG@10,IoU>=0.5", "NDCG@10,IoU>=0.7")
_STAGES = ("chance", "retrieval", "coarse", "refined")
_SETS = ("mR@5", "mR+@5", "G-mIoU@1", "G-mIoU@5")
_MEASURES = ("NDCG", "VideoRecall", "R@1", "mAP")


def show(value: dict[str, Any]) -> None:
    """Print a report."""
    console = Console()
    console.print(_stages(value))
    figures = "  ".join(
        f"{name} {figure:.3f}" for name, figure in value["retrieval"].items() if name.endswith("Recall")
    )
    if figures:
        console.print(f"retrieval: {figures}", highlight=False)
    console.print(_certainty(value))
    if "gmr" in value:
        console.print(_generalised(value["gmr"]))
        console.print(_generalised_slices(value["slices"]))
    if value["slices"]:
        console.print(_slices(value["slices"]))
    for stage, part in value.get("confidence", {}).items():
        area = part["no-answer"]["AUROC"]
        told = "" if area is None else f", answers told from none with AUROC {area:.3f}"
        words = f"ECE {part['ECE']:.3f}, Brier {part['Brier']:.3f} of {part['moments']} moments{told}"
        console.print(f"confidence of {stage}: {words}", highlight=False)


def show_comparison(value: dict[str, Any], names: tuple[str, str]) -> None:
    """Print what `compare` returns."""
    console = Console()
    title = f"{value['stage']}: A {names[0]}, B {names[1]}; {value['answerable']} queries"
    table = _table(title, "measure", "A", "B", "B - A", "95 %", "p")
    for name, row in value["measures"].items():
        table.add_row(name, *_compared(row))
    console.print(table)
    if value["slices"]:
        console.print(_compared_slices(value["slices"]))


def _compared(row: dict[str, Any]) -> Iterable[str]:
    low, high = row["interval"]
    ends = f"{low:+.3f} .. {high:+.3f}"
    return _number(row["a"]), _number(row["b"]), f"{row['difference']:+.3f}", ends, f"{row['p']:.4f}"


def _compared_slices(slices: dict[str, Any]) -> Table:
    table = _table(f"{FIRST[0]} by slice", "slice", "queries", "A", "B", "B - A", "95 %", "p")
    for name, part in slices.items():
        cells = _compared(part["measures"][FIRST[0]]) if part["measures"] else [""] * 5
        table.add_row(_plain(name), str(part["queries"]), *cells)
    return table


def _stages(value: dict[str, Any]) -> Table:
    stages = [stage for stage in _STAGES if any(name.startswith("NDCG") for name in value.get(stage, {}))]
    title = f"{value['answerable']} of {value['queries']} queries have an answer"
    headings = (*stages, "refined vs coarse")[: len(stages) + ("change" in value)]
    table = _table(title, "measure", *headings)
    for name in (name for name in value[stages[-1]] if name.startswith(_MEASURES)):
        cells = [_number(value[stage].get(name)) for stage in stages]
        change = [_percent(value["change"].get(name), "+")] if "change" in value else []
        table.add_row(name, *cells, *change)
    return table


def _certainty(value: dict[str, Any]) -> Table:
    """Show the last stage with its intervals, and beside it what its proposals allow."""
    stage = next(stage for stage in ("refined", "coarse", "retrieval") if stage in value["intervals"])
    ceiling = value.get("ceiling", {})
    title = "95 % intervals over queries, and the ceiling of the proposals"
    table = _table(title, "measure", stage, "95 %", *(["ceiling", "of ceiling"] if ceiling else []))
    for name, (low, high) in value["intervals"][stage].items():
        figure = value[stage][name]
        cells = [name, _number(figure), f"{low:.3f} .. {high:.3f}"]
        best = ceiling.get(name)
        table.add_row(
            *cells, *([_number(best), _percent(figure / best if best else None)] if ceiling else [])
        )
    return table


def _generalised(stages: dict[str, Any]) -> Table:
    table = _table("queries with no, one or several moments", "measure", *stages)
    for name in dict.fromkeys(name for figures in stages.values() for name in figures):
        table.add_row(name, *(_number(figures.get(name)) for figures in stages.values()))
    return table


def _generalised_slices(slices: dict[str, Any]) -> Table:
    stage = next(iter(reversed(next(iter(slices.values()))["gmr"]))) if slices else ""
    table = _table(f"the same by slice, {stage}", "slice", "queries", *_SETS)
    for name, part in slices.items():
        table.add_row(
            _plain(name), str(part["queries"]), *(_number(part["gmr"][stage].get(n)) for n in _SETS)
        )
    return table


def _slices(slices: dict[str, Any]) -> Table:
    parts = list(slices.values())
    headings = [(name, stage) for name in FIRST for stage in ("coarse", "refined") if stage in parts[0]]
    headings += [(FIRST[0], stage) for stage in ("ceiling",) if stage in parts[0]]
    words = [stage if stage == "ceiling" else f"{stage} {name[-3:]}" for name, stage in headings]
    table = _table("NDCG@10 by slice and IoU", "slice", "queries", *words)
    for kind, part in slices.items():
        cells = [_number(part[stage][name]) if part["answerable"] else "" for name, stage in headings]
        table.add_row(_plain(kind), str(part["queries"]), *cells)
    return table


def _table(title: str, first: str, *rest: str) -> Table:
    table = Table(title=_plain(title))
    table.add_column(first, no_wrap=True)
    for heading in rest:
        table.add_column(heading, justify="right")
    return table


def _plain(name: str) -> Text:
    """Return a name of a file or of a slice as text: rich reads square brackets as markup."""
    return Text(printable(name))


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _percent(value: float | None, sign: str = "") -> str:
    return "" if value is None else f"{value:{sign}.1%}"
