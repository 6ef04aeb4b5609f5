"""An ingest that is stopped inside a long video goes on inside it, with the very same rows."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.trainer.ingest.factories import regular, write_video
from tests.trainer.ingest.levels import OPTIONS, Levels, run, store
from trainer.ingest.pipeline import ingest
from trainer.ingest.summary import Interrupted
from trainer.ingest.unfinished import Unfinished


class Stopping(Levels):
    """Presses Ctrl-C while it encodes its fourth batch."""

    def images(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        if len(self.batches) == 3:
            raise KeyboardInterrupt
        return super().images(frames)


@pytest.fixture
def long_video(tmp_path: Path) -> Path:
    return write_video(tmp_path / "videos" / "long.mp4", regular(60, 4), rate=4)


def stop(root: Path) -> None:
    with pytest.raises(Interrupted) as stopped:
        run(root, encoder=Stopping())
    assert stopped.value.summary.ingested == 0


def test_what_was_encoded_is_not_encoded_again(tmp_path: Path, long_video: Path) -> None:
    stop(tmp_path)
    encoder = Levels()
    assert run(tmp_path, encoder=encoder).ingested == 1
    assert encoder.batches == [8, 8, 8, 8, 4]
    rows = np.array(store(tmp_path).rows("long", "frames"))
    assert not (store(tmp_path).path / "unfinished").exists()
    run(tmp_path / "whole", tmp_path / "videos")
    np.testing.assert_array_equal(rows, store(tmp_path / "whole").rows("long", "frames"))


def test_other_content_or_settings_begin_anew(tmp_path: Path, long_video: Path) -> None:
    stop(tmp_path)
    encoder = Levels()
    run(tmp_path, encoder=encoder, options=replace(OPTIONS, settings="cuda float16"))
    assert sum(encoder.batches) == 60
    assert os.listdir(store(tmp_path).path / "unfinished")
    write_video(long_video, regular(61, 4), rate=4)
    encoder = Levels()
    run(tmp_path, encoder=encoder)
    assert sum(encoder.batches) == 61


@pytest.mark.parametrize("damage", ["cut", "flip"])
def test_damage_costs_time_only(tmp_path: Path, long_video: Path, damage: str) -> None:
    stop(tmp_path)
    (kept,) = (tmp_path / "c" / "features" / Levels.fingerprint / "unfinished").iterdir()
    content = bytearray(kept.read_bytes())
    if damage == "flip":
        content[len(content) // 2] ^= 1
    kept.write_bytes(content[:-5] if damage == "cut" else content)
    encoder = Levels()
    run(tmp_path, encoder=encoder)
    assert 36 < sum(encoder.batches) < 60
    run(tmp_path / "whole", tmp_path / "videos")
    np.testing.assert_array_equal(
        store(tmp_path).rows("long", "frames"), store(tmp_path / "whole").rows("long", "frames")
    )


def test_batches_are_kept_in_any_order_and_taken_once(tmp_path: Path) -> None:
    path = tmp_path / "u" / "x"
    first = Unfinished(path, 3)
    for batch in (2, 0):
        first.put(batch, np.full((4, 3), batch, np.float32))
    second = Unfinished(path, 3)
    second.put(5, np.ones((2, 3), np.float32))
    third = Unfinished(path, 3)
    assert third.take(1, 4) is None
    assert third.take(5, 4) is None
    found = third.take(2, 4)
    assert found is not None
    assert (found == 2).all()
    assert third.take(2, 4) is None
    third.remove()
    assert not path.exists()


def test_a_long_file_moves_the_bar_inside_it(tmp_path: Path, long_video: Path) -> None:
    calls: list[tuple[int, str]] = []
    size = long_video.stat().st_size
    options = replace(OPTIONS, batch_size=4)
    clock = iter(range(10_000))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("trainer.ingest.meter.time.monotonic", lambda: next(clock))
        ingest(
            [long_video],
            tmp_path / "c",
            Levels(),
            options,
            lambda done, _, words: calls.append((done, words)),
        )
    inside = [done for done, words in calls if "of long.mp4" in words]
    assert len(inside) == 60
    assert inside == sorted(inside)
    assert size * 0.4 < inside[30] < size * 0.6
    assert any("at 0:00:30 of long.mp4" in words for _, words in calls)
