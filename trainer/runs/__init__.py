"""A training run in a directory: exact resume, the best checkpoint, metric logs and a plot.

    with TrainingRun(directory, settings, save_every=100) as run:
        run.restore(training)
        for step in range(run.step, steps):
            ...
            run.log(step + 1, {"loss": loss})
            run.offer(step + 1, recall, model.state_dict())
            run.after_step(step + 1, training)
        run.save(steps, training)
    best = run.best_state()

A run that was killed at any moment goes on by itself, and ends with the same bytes as an unbroken one (on a
CPU). One whose numbers are no longer finite raises Diverged.
"""

from trainer.progress import Progress
from trainer.runs.devices import Amp, pick_device, seed_everything
from trainer.runs.errors import Diverged, Stopped
from trainer.runs.following import open_run
from trainer.runs.log import MetricLog
from trainer.runs.order import batch_rows
from trainer.runs.plot import Panel, plot_metrics
from trainer.runs.processes import ALONE, Processes, joined
from trainer.runs.run import TrainingRun
from trainer.runs.state import Training

__all__ = [
    "ALONE",
    "Amp",
    "Diverged",
    "MetricLog",
    "Panel",
    "Processes",
    "Progress",
    "Stopped",
    "Training",
    "TrainingRun",
    "batch_rows",
    "joined",
    "open_run",
    "pick_device",
    "plot_metrics",
    "seed_everything",
]
