"""A run's curves as a PNG."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.files import replacing
from trainer.runs.figures import new_figure


@dataclass(frozen=True, slots=True)
class Panel:
    """One chart: its title and the names of the metrics drawn in it."""

    title: str
    metrics: tuple[str, ...]


def plot_metrics(path: Path, rows: Sequence[Mapping[str, Any]], panels: Sequence[Panel]) -> None:
    """Draw the panels side by side from rows with a "step" each; a metric is drawn where a row has it."""
    figure = new_figure(5.5 * len(panels), 4)
    for axes, panel in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        for name in panel.metrics:
            points = [(row["step"], row[name]) for row in rows if name in row]
            if points:
                axes.plot(*zip(*points, strict=True), label=name, marker="." if len(points) < 50 else None)
        axes.set(title=panel.title, xlabel="step")
        axes.grid(alpha=0.3)
        if axes.lines:
            axes.legend(fontsize="small")
    with replacing(path) as partial:
        figure.savefig(partial, format="png", dpi=100)
