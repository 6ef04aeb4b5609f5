"""Draw a report: NDCG bars of every stage, a panel for each IoU; and a reliability diagram."""

from pathlib import Path

import numpy as np

from engine.files import replacing
from trainer.evaluation.calibration import Calibration
from trainer.evaluation.measures import NDCG, NDCGS
from trainer.evaluation.report import Report
from trainer.evaluation.runfile import COARSE, REFINED, RETRIEVAL
from trainer.runs.figures import new_figure

COLOURS = {"chance": "#b0b0b0", RETRIEVAL: "#8fb8de", COARSE: "#4c78a8", REFINED: "#e4572e"}


def plot(report: Report, path: Path) -> None:
    """Write a report's NDCG figures as PNG, atomically."""
    heights_of = {"chance": report.chance, **report.whole.stages}
    stages = [stage for stage in COLOURS if stage in heights_of]
    depths, thresholds = sorted({m.k for m in NDCGS}), sorted({m.iou for m in NDCGS})
    figure = new_figure(11, 3.6)
    panels = figure.subplots(1, len(thresholds), sharey=True)
    width = 0.8 / len(stages)
    for panel, threshold in zip(panels, thresholds, strict=True):
        for column, stage in enumerate(stages):
            heights = [heights_of[stage][str(NDCG(depth, threshold))] for depth in depths]
            places = np.arange(len(depths)) + (column - (len(stages) - 1) / 2) * width
            bars = panel.bar(places, heights, width * 0.92, color=COLOURS[stage], label=stage)
            panel.bar_label(bars, fmt="%.2f", fontsize=6.5, padding=1)
        panel.set_title(f"IoU ≥ {threshold:g}", fontsize=10)
        panel.set_xticks(range(len(depths)), [f"NDCG@{depth}" for depth in depths])
        panel.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel(f"NDCG, mean of {report.whole.answerable} queries")
    panels[-1].legend(frameon=False, fontsize=8)
    with replacing(path) as partial:
        figure.savefig(partial, format="png", dpi=130)


def plot_reliability(figures: Calibration, path: Path) -> None:
    """Write the reliability diagram of a stage as PNG, atomically."""
    bins = figures.bins
    figure = new_figure(4.6, 4.4)
    panel = figure.subplots()
    panel.plot([0, 1], [0, 1], color=COLOURS["chance"], linewidth=1, label="calibrated")
    sizes = 20 + 180 * bins.counts / bins.counts.max()
    panel.plot(bins.confidence, bins.right, color=COLOURS[REFINED], linewidth=1)
    panel.scatter(bins.confidence, bins.right, sizes, color=COLOURS[REFINED], alpha=0.7)
    panel.set_xlabel(f"confidence, mean of {len(bins.counts)} bins of equal mass")
    panel.set_ylabel("share of moments that are right")
    panel.set_title(f"ECE {figures.ece:.3f}, {figures.moments} moments", fontsize=10)
    panel.set_xlim(0, 1)
    panel.set_ylim(0, 1)
    panel.spines[["top", "right"]].set_visible(False)
    panel.legend(frameon=False, fontsize=8, loc="upper left")
    with replacing(path) as partial:
        figure.savefig(partial, format="png", dpi=130)
