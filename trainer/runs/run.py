"""One training in one directory, safe to kill at any moment.

state.safetensors          everything needed to go on (written every `save_every` steps and at a stop)
best-00000120.safetensors  the model with the best metric so far
metrics.jsonl, tensorboard/
plot.png
"""

import contextlib
import fcntl
import json
import math
import shutil
import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, NoReturn, Self, cast

import torch
from safetensors.torch import load_file

from engine.errors import Mismatch, Unavailable
from engine.files import replacing
from trainer.runs.errors import Diverged, Stopped
from trainer.runs.log import METRICS_FILE, MetricLog
from trainer.runs.plot import Panel, plot_metrics
from trainer.runs.processes import ALONE, Processes
from trainer.runs.state import Training, read_facts, read_state, write_state
from workers.ranker.stores.checkpoint import save_tensors

STATE_FILE = "state.safetensors"
PLOT_FILE = "plot.png"
LOCK_FILE = "lock"


class TrainingRun:
    """The files of a training. Use as a context manager; `step` is the number of steps already done.

    settings: JSON values that decide the outcome; a resumed run must have the same. best: (step, metric).
    resume: what to do with an interrupted run: None and True go on, and refuse (Mismatch) one of other
    settings; False begins anew. processes: of the training, which all do the same steps; this one leads.
    Within a step, call `log` and `offer` before `after_step`, which saves what they recorded.
    """

    def __init__(
        self,
        directory: Path,
        settings: Mapping[str, Any],
        *,
        resume: bool | None = None,
        save_every: int = 100,
        panels: Sequence[Panel] = (Panel("loss", ("loss",)),),
        wandb: str | None = None,
        processes: Processes = ALONE,
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory, self.save_every, self.panels = directory, save_every, panels
        self.settings: dict[str, Any] = json.loads(json.dumps(settings))
        self.extra, self.processes = dict[str, Any](), processes
        self.step, self.best = 0, cast(tuple[int, float] | None, None)
        self._lock = _locked(directory)
        self._stop_signal: int | None = None
        self._handlers: dict[int, Any] = {}
        try:
            self._open(resume is not False)
        except BaseException:
            self._lock.close()
            raise
        self.metrics = MetricLog(directory, self.step, wandb)

    @property
    def resumed(self) -> bool:
        """Whether this run goes on from a saved state."""
        return self.step > 0

    def _open(self, resume: bool) -> None:
        """Take up the saved state's facts, or clear the directory."""
        state = self.directory / STATE_FILE
        if not (resume and state.is_file()):
            state.unlink(missing_ok=True)
            (self.directory / METRICS_FILE).unlink(missing_ok=True)
        else:
            facts = read_facts(state)
            self._check_settings(facts["settings"])
            self.step, self.extra = facts["step"], facts["extra"]
            self.best = None if facts["best"] is None else (facts["best"][0], facts["best"][1])
            print(
                f"going on after step {self.step} of the interrupted training in {self.directory}; "
                "--restart begins anew",
                file=sys.stderr,
                flush=True,
            )
        self._drop_other_bests()

    def _check_settings(self, saved: Mapping[str, Any]) -> None:
        """Raise Mismatch at the first setting that differs from the saved run's."""
        for key in sorted({*saved, *self.settings}):
            if saved.get(key) != self.settings.get(key):
                here, there = self.settings.get(key), saved.get(key)
                raise Mismatch(
                    f"The interrupted training in {self.directory} has {key} = {there!r}, this one {here!r}; "
                    "give the same to go on with it, or --restart to throw it away and begin anew."
                )

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._handlers = {
                number: signal.signal(number, self._note_signal) for number in (signal.SIGTERM, signal.SIGINT)
            }
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._close()

    def _close(self) -> None:
        with self._lock:
            self.metrics.close()

    def _note_signal(self, number: int, frame: FrameType | None) -> None:
        """Remember the signal: the step that runs is finished first."""
        self._stop_signal = number

    def restore(self, training: Training) -> None:
        """Put the saved state, if this run is a resumed one, into `training` and the random generators."""
        if self.resumed:
            read_state(self.directory / STATE_FILE, training)

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Record metrics after `step` steps; Diverged where one is not finite."""
        self._check_finite(step, values)
        self.metrics.write(step, values)

    def _check_finite(self, step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            if not math.isfinite(value):
                self._diverged(f"{name} is", step)

    def offer(self, step: int, metric: float, state: Mapping[str, torch.Tensor]) -> bool:
        """Keep `state` if its metric (higher is better) beats the best so far; return whether it did.

        Diverged where the metric or a number of the state is not finite.
        """
        if not math.isfinite(metric):
            self._diverged("metric is", step)
        self._check_state(step, state)
        if self.best is not None and metric <= self.best[1]:
            return False
        with replacing(self._best_path(step)) as partial:
            save_tensors(
                {name: value.detach().cpu().contiguous().clone() for name, value in state.items()}, partial
            )
        self.best = (step, float(metric))
        return True

    def best_state(self) -> dict[str, torch.Tensor]:
        """Return the tensors of the best checkpoint."""
        if self.best is None:
            raise Mismatch(f"The training in {self.directory} has kept no checkpoint: it never evaluated.")
        return load_file(self._best_path(self.best[0]))

    def after_step(self, step: int, training: Training) -> None:
        """Save the state when it is due; raise Stopped, with the state saved, when asked to end."""
        stop = self.processes.any(self._stop_signal is not None)
        if stop or step % self.save_every == 0:
            self.save(step, training)
        if stop:
            raise Stopped(step, self._stop_signal or signal.SIGTERM)

    def save(self, step: int, training: Training) -> None:
        """Write the whole state; only then delete older best checkpoints, which an older state needs.

        Diverged where a parameter is not finite: no run could go on from it.
        """
        self._check_state(step, training.model.state_dict())
        self.metrics.sync()
        facts = {"settings": self.settings, "step": step, "best": self.best, "extra": self.extra}
        write_state(self.directory / STATE_FILE, training, facts)
        self.step = step
        self._drop_other_bests()
        self.processes.meet()

    def plot(self) -> Path:
        """Draw the metrics so far to plot.png and return its path."""
        plot_metrics(self.directory / PLOT_FILE, self.metrics.rows, self.panels)
        return self.directory / PLOT_FILE

    def leave_record(self, directory: Path) -> None:
        """Remove what only a resume needs and move the rest to `directory`, once the model is current.

        Before that a kill would take the whole training: nothing could go on from it.
        """
        # The state first: one whose best checkpoint is gone stands in the next training's way.
        for name in (STATE_FILE, LOCK_FILE):
            (self.directory / name).unlink(missing_ok=True)
        self.best = None
        self._drop_other_bests()
        shutil.move(self.directory, directory)

    def _check_state(self, step: int, state: Mapping[str, torch.Tensor]) -> None:
        for name, value in state.items():
            if value.is_floating_point() and not bool(value.isfinite().all()):
                self._diverged(f"numbers in {name} are", step)

    def _diverged(self, what: str, step: int) -> NoReturn:
        """Delete the saved state, from which a resumed run would diverge again, and raise Diverged."""
        (self.directory / STATE_FILE).unlink(missing_ok=True)
        raise Diverged(what, step)

    def _best_path(self, step: int) -> Path:
        return self.directory / f"best-{step:08d}.safetensors"

    def _drop_other_bests(self) -> None:
        """Remove best checkpoints that the state does not name."""
        for path in self.directory.glob("best-*.safetensors"):
            if self.best is None or path != self._best_path(self.best[0]):
                path.unlink()


def _locked(directory: Path) -> Any:
    """Return the directory's lock, held until closed; Unavailable when another process trains there."""
    file = (directory / LOCK_FILE).open("w")
    with contextlib.ExitStack() as stack:
        stack.callback(file.close)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Unavailable(
                f"Another process is training in {directory}; wait for it or stop it."
            ) from error
        stack.pop_all()
    return file
