"""How a run ends: by a signal, and on a full disk."""

import os
import signal
from pathlib import Path

import pytest
import torch

from trainer.runs import Stopped, Training, TrainingRun

FULL = Path("/dev/full")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_its_exit_code_tells_which_signal_stopped_it(
    tmp_path: Path, number: signal.Signals, code: int
) -> None:
    model = torch.nn.Linear(2, 1)
    with TrainingRun(tmp_path, {}) as run:
        run._note_signal(number, None)
        with pytest.raises(Stopped) as told:
            run.after_step(1, Training(model, torch.optim.AdamW(model.parameters())))
    assert told.value.exit_code == code


@pytest.mark.skipif(not FULL.exists(), reason="no device that is always full")
@pytest.mark.parametrize("name", ["metrics.jsonl", "events.out"])
def test_a_full_disk_names_the_file_at_each_end_and_leaves_the_run_to_the_next(
    tmp_path: Path, name: str
) -> None:
    run = TrainingRun(tmp_path, {})
    files = {"metrics.jsonl": run.metrics.file, "events.out": run.metrics.board._file}
    with FULL.open("wb") as full:
        os.dup2(full.fileno(), files[name].fileno())
    with pytest.raises(OSError, match="No space left") as closed, run:
        with pytest.raises(OSError, match="No space left") as told:
            run.log(1, {"loss": 0.5})
    assert name in told.value.filename
    assert name in closed.value.filename
    with TrainingRun(tmp_path, {}):
        pass
