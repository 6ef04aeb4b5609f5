"""docs/performance.md from the JSON of a run, and from nothing else."""

from collections.abc import Mapping
from typing import Any

from bench.plots import PLOTS, drawn
from bench.registry import STAGES
from bench.targets import TARGETS, Goal, Target, number

_WAYS = {"ours": "this engine", "published": "published way", "floor": "floor"}
_HEAD = """\
# Performance

Written by `spr bench`; do not edit. `make bench` measures again, `spr bench --quick` measures less.

Every stage is timed beside the published way of doing it and the physical floor, in one run on one machine,
on a corpus of the published shape: 19,614 videos and 383,828 segments of 768 dimensions, drawn so that an
index finds it as hard as real features. Figures are medians of many runs after a warm-up, one query at a time
unless said otherwise. Every stage runs in a process of its own with a fixed number of threads.
"""


def page(report: Mapping[str, Any], plots: str = "") -> str:
    """Return the page: machine, targets, plots, and the figures of every stage.

    plots: what stands before the names of the plots' files.
    """
    parts = [_HEAD, _machine(report), "## Targets\n", _targets(report)]
    for name, title in PLOTS.items():
        if drawn(report, name):
            parts.append(f"![{title}]({plots}{name}.png)\n")
    for stage, found in report["stages"].items():
        parts.append(_stage(stage, found))
    return "\n".join(parts)


def _machine(report: Mapping[str, Any]) -> str:
    about = report["machine"]
    packages = ", ".join(f"{name} {version}" for name, version in about["packages"].items())
    quick = "" if report["sizes"] == "full" else f" Sizes: **{report['sizes']}**, not the full run."
    return (
        f"Measured {report['date']} on {about['processor']}, {about['cores']} cores, "
        f"{about['memory_gib']:g} GiB, {about['system']}, Python {about['python']} with {packages}.{quick}\n"
    )


def _targets(report: Mapping[str, Any]) -> str:
    lines = ["| what | reach | measured | met | published way | floor |", "|---|---|---|---|---|---|"]
    for target in TARGETS:
        beside = (_beside(report, target.published), _beside(report, target.floor))
        for i, goal in enumerate(target.goals):
            what = target.what if i == 0 else ""
            others = beside if i == 0 else ("", "")
            figures = (what, str(goal), _measured(report, goal), _met(report, goal), *others)
            lines.append(f"| {' | '.join(figures)} |")
    return "\n".join(lines) + "\n"


def _measured(report: Mapping[str, Any], goal: Goal) -> str:
    value = goal.measured(report)
    return "not measured" if value is None else number(value)


def _met(report: Mapping[str, Any], goal: Goal) -> str:
    return {True: "yes", False: "**no**", None: ""}[goal.met(report)]


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
    lines = [f"## {stage}: {title}", "", f"{threads}; the stage took {found['seconds']:.0f} s.", ""]
    if found["rows"]:
        lines += ["| | way | figure | besides |", "|---|---|---|---|"]
    for row in found["rows"]:
        besides = ", ".join(f"{_plain(name)} {_value(value)}" for name, value in row["more"].items())
        figure_of = f"{number(row['value'])} {row['unit']}"
        lines.append(f"| {row['label']} | {_WAYS[row['way']]} | {figure_of} | {besides} |")
    lines += ["", *(f"* {note}" for note in found["notes"])] if found["notes"] else []
    return "\n".join(lines) + "\n"


def summary(report: Mapping[str, Any], target: Target) -> tuple[str, str, str]:
    """Return what is asked, what was measured and whether it was met, for a table in a terminal."""
    goals = target.goals
    return (
        "; ".join(map(str, goals)),
        "; ".join(_measured(report, goal) for goal in goals),
        "; ".join({True: "yes", False: "NO", None: "-"}[goal.met(report)] for goal in goals),
    )


def _plain(name: str) -> str:
    return name.replace("_", " ")


def _value(value: float | int | str) -> str:
    return value if isinstance(value, str) else number(float(value))
