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


# Of a panel, in inches; set by hand, as a layout that is computed costs as much as the drawing.
_WIDTH, _HEIGHT = 5.5, 4.0
_LEFT, _RIGHT, _BOTTOM, _TOP = 0.65, 0.15, 0.55, 0.4


def plot_metrics(path: Path, rows: Sequence[Mapping[str, Any]], panels: Sequence[Panel]) -> None:
    """Draw the panels side by side from rows with a "step" each; a metric is drawn where a row has it."""
    width = _WIDTH * len(panels)
    figure = new_figure(width, _HEIGHT, layout=None)
    for number, panel in enumerate(panels):
        left, bottom = (_WIDTH * number + _LEFT) / width, _BOTTOM / _HEIGHT
        size = (_WIDTH - _LEFT - _RIGHT) / width, (_HEIGHT - _BOTTOM - _TOP) / _HEIGHT
        axes = figure.add_axes((left, bottom, *size))
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
