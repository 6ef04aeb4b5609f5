"""The run of a training's process that does not lead: it reads what the leader saved, and writes nothing."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trainer.runs.processes import Processes
from trainer.runs.run import STATE_FILE, TrainingRun
from trainer.runs.state import Training, read_facts

__all__ = ["open_run"]


def open_run(
    directory: Path, settings: Mapping[str, Any], processes: Processes, save_every: int, **options: Any
) -> TrainingRun:
    """Return a process's run, the leader's first; settings, save_every, options: as TrainingRun has them."""
    if processes.leads:
        run = TrainingRun(directory, settings, save_every=save_every, processes=processes, **options)
        processes.meet()
        return run
    processes.meet()
    return _Following(directory, processes, save_every)


class _Following(TrainingRun):
    """Goes on from the leader's state; what it measures is the same, and is recorded by the leader."""

    def __init__(self, directory: Path, processes: Processes, save_every: int) -> None:
        self.directory, self.save_every, self.processes = directory, save_every, processes
        self.step, self.best = 0, None
        self._stop_signal, self._handlers = None, {}
        if (state := directory / STATE_FILE).is_file():
            self.step = read_facts(state)["step"]

    def _close(self) -> None:
        """Hold nothing."""

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Raise Diverged where a value is not finite."""
        self._check_finite(step, values)

    def save(self, step: int, training: Training) -> None:
        """Wait until the leader has saved."""
        self.processes.meet()
        self.step = step
