"""A run's plots: latency against recall, cost against corpus size, throughput and p99 against clients."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trainer.runs.figures import new_figure

PLOTS = {
    "latency-recall": "Latency against recall at 200",
    "cost-size": "Latency against the size of the corpus",
    "load": "Throughput and p99 against concurrent clients",
}
_STAGE = {"latency-recall": "index", "cost-size": "scale", "load": "load"}


def drawn(report: Mapping[str, Any], name: str) -> bool:
    """Tell whether a run has what a plot shows."""
    return len(_points(report, name)) > 1


def draw(report: Mapping[str, Any], out: Path) -> list[Path]:
    """Draw what there is to draw into `out`, as PNG; return the files."""
    made = []
    for name, title in PLOTS.items():
        if not drawn(report, name):
            continue
        figure = new_figure(7, 4.2)
        axes = figure.subplots()
        {"latency-recall": _recall, "cost-size": _size, "load": _load}[name](axes, _points(report, name))
        axes.set_title(title)
        axes.grid(alpha=0.3)
        figure.savefig(out / f"{name}.png", dpi=110)
        made.append(out / f"{name}.png")
    return made


def _points(report: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    wanted = {"latency-recall": "recall@200", "cost-size": "segments", "load": "queries_s"}[name]
    rows = report["stages"].get(_STAGE[name], {}).get("rows", [])
    return [row for row in rows if wanted in row["more"]]


def _recall(axes: Any, rows: list[Mapping[str, Any]]) -> None:
    for way, mark in (("ours", "o"), ("published", "s")):
        some = [row for row in rows if row["way"] == way]
        axes.plot(
            [row["more"]["recall@200"] for row in some], [row["value"] for row in some], mark, label=way
        )
    for row in rows:
        place = (row["more"]["recall@200"], row["value"])
        axes.annotate(row["label"], place, fontsize=7, xytext=(3, 4), textcoords="offset points")
    axes.set(xlabel="recall@200", ylabel="ms a query, one thread", yscale="log")
    axes.legend()


def _size(axes: Any, rows: list[Mapping[str, Any]]) -> None:
    for index in dict.fromkeys(str(row["more"]["index"]) for row in rows):
        some = [row for row in rows if row["more"]["index"] == index]
        axes.plot(
            [row["more"]["segments"] for row in some], [row["value"] for row in some], "o-", label=index
        )
    axes.set(xlabel="segments", ylabel="ms a query, one thread", xscale="log", yscale="log")
    axes.legend()


def _load(axes: Any, rows: list[Mapping[str, Any]]) -> None:
    clients = [row["more"]["clients"] for row in rows]
    lines = axes.plot(clients, [row["more"]["queries_s"] for row in rows], "o-", label="queries/s")
    axes.set(xlabel="concurrent clients", ylabel="queries/s", xscale="log", ylim=(0, None))
    axes.set_xticks(clients, [str(count) for count in clients])
    other = axes.twinx()
    lines += other.plot(
        clients, [row["more"]["p99_ms"] for row in rows], "s--", color="tab:red", label="p99 ms"
    )
    lines += other.plot(
        clients, [row["more"]["p50_ms"] for row in rows], "^:", color="tab:orange", label="p50 ms"
    )
    other.set(ylabel="ms", ylim=(0, None))
    axes.legend(lines, [line.get_label() for line in lines])
