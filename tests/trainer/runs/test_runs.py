"""Training runs: killed and resumed equals unbroken, nothing appears twice, and stopping is clean."""

import json
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors import safe_open
from tensorboard.backend.event_processing.event_accumulator import (  # type: ignore[import-untyped]
    EventAccumulator,
)
from tensorboard.summary.writer.record_writer import RecordWriter  # type: ignore[import-untyped]

from engine.errors import InvalidInput, Mismatch, Unavailable
from tests import apart
from tests.trainer.runs.ending import train_and_end
from tests.trainer.runs.train_tiny import train_tiny
from trainer.runs import Diverged, Progress, Stopped, Training, TrainingRun, batch_rows, pick_device
from trainer.runs.log import read_metrics

STEPS = 60


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    """Training here sets one thread, as its processes do; others get theirs back."""
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.mark.usefixtures("one_thread")
def test_stopped_killed_and_resumed_equals_unbroken(tmp_path: Path) -> None:
    broken, unbroken, log = tmp_path / "broken", tmp_path / "unbroken", tmp_path / "log"

    def train(ending: signal.Signals, step: int) -> int:
        return apart.call(log, train_and_end, train_tiny, ending, step, broken, STEPS, None)

    # As its command exits; a service manager tells it from a Ctrl-C's 130.
    assert Stopped(19, signal.SIGTERM).exit_code == 143
    assert train(signal.SIGTERM, 19) > 0
    assert saved_step(broken) == 19
    assert "Stopped after step 19; the same command goes on" in log.read_text()

    assert train(signal.SIGKILL, 40) == -signal.SIGKILL
    assert 19 < saved_step(broken) < 40

    assert apart.call(log, train_tiny, broken, STEPS, None) == 0
    assert f"of the interrupted training in {broken}; --restart begins anew" in log.read_text()
    train_tiny(unbroken, STEPS, resume=False)
    assert contents(broken) == contents(unbroken)


def test_resuming_repeats_no_step_in_record_or_tensorboard(tmp_path: Path) -> None:
    train_tiny(tmp_path, 24, resume=False)
    lines = (tmp_path / "metrics.jsonl").read_text()
    later = '{"step": 25, "time": 0, "loss": 1.0}\n{"step": 26, "time": 0, "lo'
    (tmp_path / "metrics.jsonl").write_text(lines + later)
    run = TrainingRun(tmp_path, {"steps": 24}, resume=True)
    with run:
        run.log(25, {"loss": 0.5})
    steps = [row["step"] for row in read_metrics(tmp_path / "metrics.jsonl") if "loss" in row]
    assert steps == list(range(1, 26))
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert [event.step for event in events.Scalars("loss")] == steps
    assert events.Scalars("loss")[-1].value == 0.5


def test_best_checkpoint_of_the_saved_state_survives_a_later_one(tmp_path: Path) -> None:
    model = torch.nn.Linear(2, 1)
    training = Training(model, torch.optim.SGD(model.parameters(), lr=0.1))
    with TrainingRun(tmp_path, {}) as run:
        assert run.offer(1, 0.25, {"weight": torch.tensor([1.0])})
        run.save(1, training)
        assert not run.offer(2, 0.25, {"weight": torch.tensor([2.0])})
        assert run.offer(3, 0.5, {"weight": torch.tensor([3.0])})
    with TrainingRun(tmp_path, {}, resume=True) as run:
        assert (run.step, run.best) == (1, (1, 0.25))
        assert run.best_state()["weight"].item() == 1.0
    assert len(list(tmp_path.glob("best-*"))) == 1


def test_other_settings_are_refused_by_name(tmp_path: Path) -> None:
    train_tiny(tmp_path, 7, resume=False)
    for resume in (None, True):
        with pytest.raises(Mismatch, match=r"has steps = 7, this one 8; .* --restart to throw it away"):
            TrainingRun(tmp_path, {"steps": 8}, resume=resume)
    with TrainingRun(tmp_path, {"steps": 7}) as run:
        assert run.step == 7
    with TrainingRun(tmp_path, {"steps": 8}, resume=False) as run:
        assert (run.step, run.best, run.metrics.rows) == (0, None, [])


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_what_is_not_finite_ends_a_run_and_its_state(tmp_path: Path, bad: float) -> None:
    model = torch.nn.Linear(2, 1)
    training = Training(model, torch.optim.SGD(model.parameters(), lr=0.1))
    good = {"weight": torch.ones(1), "count": torch.tensor(3)}

    def broken(run: TrainingRun) -> None:
        with torch.no_grad():
            model.weight[0, 1] = bad
        run.save(2, training)

    for number, end in enumerate(
        (
            lambda run: run.log(2, {"loss": bad}),
            lambda run: run.offer(2, bad, good),
            lambda run: run.offer(2, 0.9, {**good, "weight": torch.tensor([1.0, bad])}),
            broken,
        )
    ):
        directory = tmp_path / str(number)
        with TrainingRun(directory, {"lr": 1}) as run:
            assert run.offer(1, 0.5, good)
            run.save(1, training)
            with pytest.raises(Diverged, match=r"not finite after step 2\. Nothing of it was kept; train"):
                end(run)
        # Its state leads here again, so the next training begins anew, whatever its settings.
        with TrainingRun(directory, {"lr": 0.1}) as run:
            assert (run.step, run.best) == (0, None)


def test_one_training_in_a_directory_at_a_time(tmp_path: Path) -> None:
    with TrainingRun(tmp_path, {}), pytest.raises(Unavailable, match="Another process is training"):
        TrainingRun(tmp_path, {})


def test_damaged_state_is_named(tmp_path: Path) -> None:
    (tmp_path / "state.safetensors").write_bytes(b"\x00" * 40)
    with pytest.raises(Mismatch, match=r"state\.safetensors is damaged"):
        TrainingRun(tmp_path, {}, resume=True)


def test_another_models_state_is_refused(tmp_path: Path) -> None:
    train_tiny(tmp_path, 7, resume=False)
    model = torch.nn.Linear(6, 16)
    with (
        TrainingRun(tmp_path, {"steps": 7}, resume=True) as run,
        pytest.raises(RuntimeError, match="Missing key"),
    ):
        run.restore(Training(model, torch.optim.AdamW(model.parameters())))


def test_a_full_disk_names_the_file_and_no_thread_tells_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(_: object) -> None:
        raise OSError(28, "No space left on device")

    threads = threading.active_count()
    with TrainingRun(tmp_path, {}) as run:
        assert threading.active_count() == threads
        full = SimpleNamespace(write=no_room)
        for part, attribute, file, name in (
            (run.metrics, "file", full, "metrics.jsonl"),
            (run.metrics.board, "_records", RecordWriter(full), "events.out"),
        ):
            with monkeypatch.context() as disk:
                disk.setattr(part, attribute, file)
                with pytest.raises(OSError, match="No space left") as told:
                    run.log(1, {"loss": 0.5})
            assert name in told.value.filename


def test_plot_is_a_png(tmp_path: Path) -> None:
    run = train_tiny(tmp_path, 10, resume=False)
    assert (run.directory / "plot.png").read_bytes().startswith(b"\x89PNG")


def test_every_epoch_visits_every_row_once_in_another_order() -> None:
    epochs = [
        [row for step in range(3) for row in batch_rows(3 * epoch + step, 10, 4, 1)] for epoch in range(2)
    ]
    assert sorted(epochs[0]) == sorted(epochs[1]) == list(range(10))
    assert epochs[0] != epochs[1]


def test_unknown_device() -> None:
    assert pick_device("cpu").type == "cpu"
    with pytest.raises(InvalidInput, match="quantum"):
        pick_device("quantum")


def test_progress_line_has_rate_and_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    progress = Progress("projector", total=100, done=20)
    monkeypatch.setattr(time, "monotonic", lambda: progress.began + 4.0)
    assert progress.line(40, "loss 1.0") == "projector: 40/100 steps, 5.0/s, 12 s left  loss 1.0"
    progress.update(40, total=60)
    assert progress.line(40) == "projector: 40/60 steps, 5.0/s, 4 s left"


def test_a_bar_shows_names_as_they_are(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with Progress("ingest", total=2, unit="files") as progress:
        progress.update(2, "b]y[/red].mp4\x07\nnext")
    assert r"b]y[/red].mp4\x07\nnext" in capsys.readouterr().err


def saved_step(directory: Path) -> int:
    with safe_open(directory / "state.safetensors", framework="pt") as file:
        step: int = json.loads(file.metadata()["state"])["facts"]["step"]
    return step


def contents(directory: Path) -> dict[str, Any]:
    """What a run leaves, without clock times."""
    rows = [{**row, "time": 0} for row in read_metrics(directory / "metrics.jsonl")]
    return {path.name: path.read_bytes() for path in directory.glob("*.safetensors")} | {"rows": rows}
