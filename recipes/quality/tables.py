"""Markdown tables: mean and standard deviation over seeds of every variant."""

import statistics
from collections.abc import Iterable, Iterator, Sequence

from recipes.quality.variants import ABLATION, FIRST, MAIN, Row

# The kinds of questions of the hard world that pictures answer, and the one that speech does.
KINDS, SPEECH = ("imprecise", "precise", "temporal-only"), "subtitle-only"
MEASURES = ("NDCG@10,IoU>=0.3", "NDCG@10,IoU>=0.5", "NDCG@10,IoU>=0.7")


def report(trained: Sequence[Row], tested: Sequence[Row], found: Sequence[Row]) -> list[str]:
    """Return all tables. trained: rankers on val. tested: those of the main table on test. found: stage 1."""
    main_rows = [row for row in trained if row["table"] == "main"]
    lines = ["## Test", "", *table(tested, MAIN, "refined")]
    lines += ["", "## Test, coarse proposals and ceiling, IoU >= 0.5", "", *ceilings(tested)]
    lines += ["", "## Test, by slice, IoU >= 0.5", "", *slices(tested)]
    lines += ["", "## Val", "", *table(main_rows, MAIN, "refined", seconds=True)]
    ablated = [row for row in trained if row["table"] == "ablation"]
    lines += ["", "## Val, ablation", "", *table(ablated, ABLATION, "refined", seconds=True)]
    return [*lines, "", "## Val, segments that 200 retrieved ones find", "", *recalls(found)]


def table(rows: Sequence[Row], names: Iterable[str], stage: str, seconds: bool = False) -> list[str]:
    """Return a line a variant: NDCG@10 at three IoUs."""
    lines = [f"| variant | seeds | {' | '.join(MEASURES)} |{' s |' if seconds else ''}"]
    lines += [f"|---|---|{'---|' * len(MEASURES)}{'---|' if seconds else ''}"]
    for name, own in grouped(rows, names):
        cells = [spread([row[stage][measure] for row in own]) for measure in MEASURES]
        cells += [f"{statistics.median(row['seconds'] for row in own):.0f}"] if seconds else []
        lines.append(f"| {name} | {len(own)} | {' | '.join(cells)} |")
    return lines


def ceilings(rows: Sequence[Row]) -> list[str]:
    """Return a line a variant: coarse, refined, ceiling, the share of it, and what confidence is worth."""
    lines = ["| variant | coarse | refined | ceiling | share | ECE | AUROC of no answer |"]
    lines += ["|---|---|---|---|---|---|---|"]
    for name, own in grouped(rows, MAIN):
        cells = [
            spread([row[s][MEASURES[1]] for row in own]) for s in ("coarse", "refined", "ceiling", "share")
        ]
        sure = [row["confidence"]["refined"] for row in own if (row["confidence"] or {}).get("refined")]
        cells += [spread([each["ECE"] for each in sure])] if sure else ["-"]
        cells += [spread([each["no-answer"]["AUROC"] for each in sure])] if sure else ["-"]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def slices(rows: Sequence[Row]) -> list[str]:
    """Return a line a variant: its refined NDCG@10 on every slice of queries that have an answer.

    The last column is of all queries that pictures answer: a gain on speech cannot stand for the rest.
    """
    names = sorted({name for row in rows for name in row["slices"] if name != "no-answer"})
    headings = [*names, f"all but {SPEECH}"]
    lines = [f"| variant | {' | '.join(headings)} |", f"|---|{'---|' * len(headings)}"]
    for variant, own in grouped(rows, MAIN):
        cells = [spread([row["slices"][name]["refined"][MEASURES[1]] for row in own]) for name in names]
        cells.append(spread([without_speech(row) for row in own]))
        lines.append(f"| {variant} | {' | '.join(cells)} |")
    return lines


def without_speech(row: Row) -> float:
    """Return the refined NDCG@10 at IoU >= 0.5 of the queries of every kind but those that speech answers."""
    parts = [row["slices"][name] for name in KINDS if name in row["slices"]]
    counts = [part["answerable"] for part in parts]
    figures = [part["refined"][MEASURES[1]] for part in parts]
    whole = sum(counts)
    return (
        sum(count * figure for count, figure in zip(counts, figures, strict=True)) / whole if whole else 0.0
    )


def recalls(rows: Sequence[Row]) -> list[str]:
    """Return a line a first stage: the share of relevant segments among those retrieved, by slice."""
    names = ("imprecise", "precise", "temporal-only", "subtitle-only")
    lines = [f"| first stage | seeds | all | {' | '.join(names)} |", f"|---|---|---|{'---|' * len(names)}"]
    for first, own in grouped(rows, FIRST):
        parts = [[row["retrieval"] for row in own], *([row["slices"][name] for row in own] for name in names)]
        cells = [spread([part["SegmentRecall"] for part in each]) for each in parts]
        lines.append(f"| {first} | {len(own)} | {' | '.join(cells)} |")
    return lines


def grouped(rows: Sequence[Row], names: Iterable[str]) -> Iterator[tuple[str, list[Row]]]:
    """Yield the rows of every variant that has some."""
    for name in names:
        own = [row for row in rows if row["name"] == name]
        if own:
            yield name, own


def spread(values: Sequence[float]) -> str:
    """Return mean and standard deviation."""
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{statistics.mean(values):.3f} ({deviation:.3f})"
