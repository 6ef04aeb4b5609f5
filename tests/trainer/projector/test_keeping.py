"""A training that is killed when its steps are done, and its model is being kept."""

from pathlib import Path
from typing import Any

import pytest

from tests.trainer.projector.tiny import SETTINGS, make_collection
from trainer.projector import training
from trainer.projector.training import train_projector
from trainer.runs import TrainingRun


@pytest.mark.parametrize("place", ["save_model", "make_current"])
def test_no_step_is_done_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    collection = make_collection(tmp_path / "collection")
    whole, log = getattr(training, place), TrainingRun.log
    steps: list[int] = []

    def killed(*arguments: Any, **named: Any) -> None:
        whole(*arguments, **named)
        raise KeyboardInterrupt

    def logged(run: TrainingRun, step: int, values: Any) -> None:
        steps.append(step)
        log(run, step, values)

    monkeypatch.setattr(TrainingRun, "log", logged)
    with monkeypatch.context() as during:
        during.setattr(training, place, killed)
        with pytest.raises(KeyboardInterrupt):
            train_projector(collection, SETTINGS, device="cpu")
    assert SETTINGS.steps in steps
    steps.clear()
    report = train_projector(collection, SETTINGS, device="cpu")
    assert steps == []
    home = collection / "models" / "projector"
    assert (home / "CURRENT").read_text().strip() == report.fingerprint
    assert sorted(path.name for path in home.iterdir()) == sorted(["CURRENT", report.fingerprint])


@pytest.mark.parametrize("done", [0, 1, 2])
def test_a_kill_while_the_record_is_left_stands_in_no_trainings_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, done: int
) -> None:
    collection = make_collection(tmp_path / "collection")
    unlink, gone = Path.unlink, list[Path]()

    def killed(path: Path, missing_ok: bool = False) -> None:
        if len(gone) == done:
            raise KeyboardInterrupt
        unlink(path, missing_ok)
        gone.append(path)

    def left(run: TrainingRun, directory: Path) -> None:
        with monkeypatch.context() as during:
            during.setattr(Path, "unlink", killed)
            leave(run, directory)

    leave = TrainingRun.leave_record
    with monkeypatch.context() as during:
        during.setattr(TrainingRun, "leave_record", left)
        with pytest.raises(KeyboardInterrupt):
            train_projector(collection, SETTINGS, device="cpu")
    assert len(gone) == done
    report = train_projector(collection, SETTINGS, device="cpu")
    home = collection / "models" / "projector"
    assert sorted(path.name for path in home.iterdir()) == sorted(["CURRENT", report.fingerprint])
