"""Metrics of a run: `metrics.jsonl` is the record; TensorBoard and wandb are views of it.

Resuming cuts the record back to the resumed step and writes the TensorBoard events anew from it, so that no
step appears twice anywhere.
"""

import contextlib
import json
import os
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine.errors import InvalidInput
from engine.files import disk_errors, replacing

METRICS_FILE = "metrics.jsonl"
TENSORBOARD_FOLDER = "tensorboard"


class MetricLog:
    """Appends `{"step", "time", name: value, ...}` lines; rows at or before `step` survive opening."""

    def __init__(self, directory: Path, step: int = 0, wandb: str | None = None) -> None:
        from trainer.runs.board import Board

        self.path = directory / METRICS_FILE
        self.rows = [row for row in read_metrics(self.path) if row["step"] <= step]
        with replacing(self.path) as partial:
            partial.write_text("".join(_line(row) for row in self.rows), encoding="utf-8")
        self.file = self.path.open("a", encoding="utf-8")
        shutil.rmtree(directory / TENSORBOARD_FOLDER, ignore_errors=True)
        self.board = Board(directory / TENSORBOARD_FOLDER)
        for row in self.rows:
            self._show(row)
        self.board.flush()
        self.wandb = _start_wandb(wandb, directory) if wandb else None

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Record one or more metrics of a step."""
        row = {
            "step": step,
            "time": round(time.time(), 3),
            **{name: float(value) for name, value in values.items()},
        }
        self.rows.append(row)
        with disk_errors(self.path):
            self.file.write(_line(row))
            self.file.flush()
        self._show(row)
        self.board.flush()
        if self.wandb is not None:
            self.wandb.log(dict(values), step=step)

    def sync(self) -> None:
        """Bring every row to disk: a saved state must never be ahead of the record."""
        with disk_errors(self.path):
            self.file.flush()
            os.fsync(self.file.fileno())

    def close(self) -> None:
        """Close the record and its views, all of them where a disk is full."""
        with contextlib.ExitStack() as views:
            if self.wandb is not None:
                views.callback(self.wandb.finish)
            views.callback(self.board.close)
            with disk_errors(self.path), self.file:
                self.sync()

    def _show(self, row: Mapping[str, Any]) -> None:
        """Give one row to TensorBoard with the time it was measured."""
        for name, value in row.items():
            if name not in ("step", "time"):
                self.board.show(name, value, row["step"], row["time"])


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a `metrics.jsonl`, less a last line that a kill cut short; [] if there is none."""
    if not path.is_file():
        return []
    lines = path.read_text(encoding="utf-8").split("\n")
    return [json.loads(line) for line in lines[:-1] if line]


def _line(row: Mapping[str, Any]) -> str:
    """Return a row as it stands in the file."""
    return json.dumps(row) + "\n"


def _start_wandb(project: str, directory: Path) -> Any:
    """Return a new wandb run of the project."""
    try:
        import wandb
    except ImportError as error:
        raise InvalidInput("wandb is not installed; pip install wandb, or train without --wandb.") from error
    return wandb.init(project=project, dir=str(directory))
