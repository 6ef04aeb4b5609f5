"""docs/performance.md and docs/performance/stages.md from the JSON of a run, and from nothing else."""

from collections.abc import Mapping, Sequence
from typing import Any

from bench.plots import PLOTS, drawn
from bench.registry import STAGES
from bench.targets import TARGETS, Goal, Target, number

_WAYS = {"ours": "", "published": "published way: ", "floor": "floor: "}
# What is shown beside a row's figure, by its name in `more`: bench.json has the rest.
_BESIDES = {
    "recall@200": "recall@200",
    "codes_mb": "MB of codes",
    "build_s": "s to build",
    "p99_ms": "ms p99",
    "times_real": "x real time",
    "of_decoding": "of decode",
    "peak_mb": "MB",
    "of_bandwidth": "of the bandwidth",
    "of_plain": "of operations one by one",
    "cosine": "cosine",
}
# Where p99 says something: elsewhere it is the noise of the machine.
_TAILS = ("search", "load")
_COSTS = ("loop_ms", "threads_ms", "waits")
_HEAD = """\
# Performance

Written by `spr bench`; do not edit. `make bench` measures again, `spr bench --quick` measures less.
`spr bench --against bench.json` fails where a figure is 1.5 times an earlier run's, both as multiples of
their floors.

Every stage runs beside the published way and the physical floor, on a corpus of the published shape (19,614
videos, 383,828 segments of 768 dimensions) that an index finds as hard as real features. Figures are medians
after a warm-up, one query at a time unless said otherwise; every stage has a process of its own. [All
stages]({files}stages.md); [bench.json]({files}bench.json) has every figure.
"""
_STAGES_HEAD = """\
# Performance, every stage

Measurement, written by `spr bench`; do not edit.
"""


def page(report: Mapping[str, Any], files: str = "") -> str:
    """Return the page: machine, targets and plots.

    files: what stands before the names of the plots and of the other files of a run.
    """
    parts = [_HEAD.format(files=files), _machine(report), "## Targets\n", targets_table(report, TARGETS)]
    if costs := _costs(report):
        parts += ["## What a known search costs each process\n", costs]
    for name, title in PLOTS.items():
        if drawn(report, name):
            parts.append(f"![{title}]({files}{name}.png)\n")
    return "\n".join(parts)


def stages_page(report: Mapping[str, Any]) -> str:
    """Return the page of all stages: a table of the figures of each."""
    parts = [_stage(stage, found) for stage, found in report["stages"].items()]
    packages = ", ".join(f"{name} {version}" for name, version in report["machine"]["packages"].items())
    return "\n".join([_STAGES_HEAD, _machine(report), f"With {packages}.\n", *parts])


def _machine(report: Mapping[str, Any]) -> str:
    about = report["machine"]
    quick = "" if report["sizes"] == "full" else f" Sizes: **{report['sizes']}**, not the full run."
    return (
        f"Measured {report['date']} on {about['processor']}, {about['cores']} cores, "
        f"{about['memory_gib']:g} GiB, {about['system']}, Python {about['python']}.{quick}\n"
    )


def targets_table(report: Mapping[str, Any], targets: Sequence[Target]) -> str:
    """Return the table of what is to be reached and what was measured."""
    lines = ["| what | reach | measured | met | published way | floor |", "|---|---|---|---|---|---|"]
    for target in targets:
        if not any(goal.stage in report["stages"] for goal in target.goals):
            continue
        beside = (_beside(report, target.published), _beside(report, target.floor))
        lines.append(f"| {' | '.join((target.what, *summary(report, target), *beside))} |")
    return "\n".join(lines) + "\n"


def _costs(report: Mapping[str, Any]) -> str:
    """Return the table of CPU and waits by process, "" where they were not measured."""
    rows = report["stages"].get("search", {}).get("rows", [])
    lines = [
        f"| {row['key'].removeprefix('cpu_')} | {' | '.join(number(row['more'][name]) for name in _COSTS)} |"
        for row in rows
        if row["key"].startswith("cpu_")
    ]
    head = "| process | CPU of its event loop, ms | of its other threads, ms | times a thread waits |"
    return "\n".join([head, "|---|---|---|---|", *lines]) + "\n" if lines else ""


def _measured(report: Mapping[str, Any], goal: Goal) -> str:
    value = goal.measured(report)
    return "not measured" if value is None else number(value)


def _beside(report: Mapping[str, Any], place: tuple[str, str] | None) -> str:
    if place is None:
        return ""
    for row in report["stages"].get(place[0], {}).get("rows", []):
        if row["key"] == place[1]:
            return f"{number(row['value'])} {row['unit']}"
    return ""


def _stage(stage: str, found: Mapping[str, Any]) -> str:
    title = STAGES[stage][1] if stage in STAGES else stage
    threads = "1 thread" if found["threads"] == 1 else f"{found['threads']} threads"
    lines = [f"## {stage}: {title}", "", " ".join([f"On {threads}.", *found["notes"]])]
    rows = rows_of(stage, found)
    lines += ["", "| what | figure |", "|---|---|", *rows] if rows else []
    return "\n".join(lines) + "\n"


def rows_of(stage: str, found: Mapping[str, Any]) -> list[str]:
    """Return the lines of a table of all figures of a stage."""
    return [f"| {_WAYS[row['way']]}{row['label']} | {_figures(stage, row)} |" for row in found["rows"]]


def _figures(stage: str, row: Mapping[str, Any]) -> str:
    besides = [
        f"{number(float(row['more'][name]))} {unit}"
        for name, unit in _BESIDES.items()
        if name in row["more"] and (name != "p99_ms" or stage in _TAILS)
    ]
    return ", ".join([f"{number(row['value'])} {row['unit']}", *besides])


def summary(report: Mapping[str, Any], target: Target) -> tuple[str, str, str]:
    """Return what is asked, what was measured and whether it was met, goal by goal."""
    goals = target.goals
    return (
        "; ".join(map(str, goals)),
        "; ".join(_measured(report, goal) for goal in goals),
        "; ".join({True: "yes", False: "NO", None: "-"}[goal.met(report)] for goal in goals),
    )
