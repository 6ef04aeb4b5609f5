"""Ingest end to end with a transparent encoder: what is stored, skipped, ingested anew, and refused."""

import hashlib
import json
import os
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.errors import NotFound, Unavailable
from tests import numeric
from tests.trainer.ingest.factories import grey, regular, write_sound, write_video
from tests.trainer.ingest.levels import OPTIONS, Levels, run, store
from trainer.ingest.features import encode_samples
from trainer.ingest.options import IngestOptions
from trainer.ingest.pipeline import ingest
from trainer.ingest.video import Sample
from workers.feature_store.store import FeatureStore


class Broken(Levels):
    def images(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        return np.full((len(frames), 5), 1e9, np.float32)


def test_rows_are_the_frames_shown_and_the_sentences_said(tmp_path: Path, videos: Path) -> None:
    summary = run(tmp_path)
    assert (summary.ingested, summary.skipped, summary.failed) == (3, 0, [])
    features = store(tmp_path)
    assert features.ids() == ["lapse", "long", "short"]
    frames = features.rows("long", "frames")
    numeric.close(frames[:, 0], [grey(10 * k) for k in range(8)], 4, scale=1)
    np.testing.assert_array_equal(frames[:, 3:], [[32, 42]] * 8)
    np.testing.assert_array_equal(features.rows("long", "subtitles")[:, 0], [0, 0, 5, 5, 0, 0, 0, 0])
    numeric.close(features.rows("lapse", "frames")[:, 0], [*[grey(0)] * 3, grey(1), grey(2)], 4, scale=1)
    assert features.rows("short", "frames")[:, 3:].tolist() == [[42, 32]]
    assert not features.rows("short", "subtitles").any()
    record = features.record("long")
    assert record.uri == (videos / "long.mp4").as_uri()
    assert record.sha256 == hashlib.sha256((videos / "long.mp4").read_bytes()).hexdigest()
    assert record.duration == pytest.approx(7.5)
    assert record.info["sidecar"]["name"] == "long.srt"
    assert (features.streams["frames"].step, features.dtype.name) == (1.0, "float16")
    assert json.loads((tmp_path / "c" / "collection.json").read_text()) == {"name": "c", "format": 1}


def test_a_batch_holds_one_video_alone(tmp_path: Path, videos: Path) -> None:
    encoder = Levels()
    for index in range(3):
        write_video(videos / f"more{index}.mp4", regular(11, 10))
    run(tmp_path, encoder=encoder)
    assert sorted(encoder.batches) == [1, 3, 3, 3, 3, 8, 8, 8, 8]


@pytest.mark.parametrize(
    "options",
    [
        replace(OPTIONS, batch_size=1),
        replace(OPTIONS, readers=3, encoders=3, batch_size=100),
        replace(OPTIONS, readers=2, encoders=2, apart=True),
    ],
)
def test_batches_readers_and_processes_do_not_change_the_rows(
    tmp_path: Path, videos: Path, options: IngestOptions
) -> None:
    run(tmp_path)
    expected = store(tmp_path)
    summary = run(tmp_path / "other", videos, options=options)
    assert (summary.ingested, summary.decoded_frames) == (3, 75 + 10 + 3)
    other = store(tmp_path / "other")
    assert other.ids() == expected.ids()
    for video in other.ids():
        for stream in other.streams:
            assert other.rows(video, stream).tobytes() == expected.rows(video, stream).tobytes()


def test_broken_files_are_refused_alike_by_a_process(tmp_path: Path, videos: Path) -> None:
    (videos / "empty.mp4").touch()
    (videos / "aaa.mp4").write_bytes(b"not a video at all" * 10)
    summary = run(tmp_path, options=replace(OPTIONS, apart=True))
    assert summary.ingested == 3
    assert [failure.kind for failure in summary.failed] == ["not-a-video", "empty"]


def test_frames_of_two_sizes_keep_their_order() -> None:
    images = [np.full((size, 4, 3), level, np.uint8) for level, size in enumerate([4, 6, 4, 6])]
    samples = [Sample(image, row, 1 + row % 2, None, row) for row, image in enumerate(images)]
    rows = encode_samples(Levels(), samples)
    assert rows[:, 0].tolist() == [0, 1, 1, 2, 3, 3]
    assert rows[:, 3].tolist() == [4, 6, 6, 4, 6, 6]


def test_the_summary_tells_the_speed(tmp_path: Path, videos: Path) -> None:
    summary = run(tmp_path)
    told = summary.as_json()
    assert told["frames_per_second"] == pytest.approx(88 / summary.elapsed, abs=0.1)
    assert told["video_seconds_per_second"] == pytest.approx(
        summary.seconds_of_video / summary.elapsed, abs=0.1
    )
    assert "pictures a second" in summary.lines()[-1]


@pytest.mark.parametrize("make", ["link to nothing", "directory", "garbage"])
def test_a_bad_subtitle_file_is_a_warning_and_its_video_is_ingested(
    tmp_path: Path, videos: Path, make: str
) -> None:
    sidecar = videos / "short.srt"

    def spoil() -> None:
        if make == "link to nothing":
            sidecar.symlink_to("nowhere.srt")
        elif make == "directory":
            sidecar.mkdir()
        else:
            sidecar.write_bytes(bytes(range(256)) * 50)

    spoil()
    first = run(tmp_path)
    assert (first.ingested, first.failed) == (3, [])
    assert "short.srt" in first.warnings[0]["warning"]
    assert run(tmp_path).skipped == 3
    # once it is right it is used, and once it is not any more that is told again
    sidecar.rmdir() if make == "directory" else sidecar.unlink()
    sidecar.write_text("1\n00:00:00,000 --> 00:00:01,000\nchanged\n")
    assert run(tmp_path).ingested == 1
    assert store(tmp_path).rows("short", "subtitles")[:, 0].tolist() == [7]
    sidecar.unlink()
    assert run(tmp_path).ingested == 1
    spoil()
    last = run(tmp_path)
    assert (last.ingested + last.skipped, last.failed) == (3, [])
    assert "short.srt" in last.warnings[0]["warning"]


def test_subtitles_outside_the_video_are_told(tmp_path: Path, videos: Path) -> None:
    cue = "1\n{}:00:00,000 --> {}:00:02,000\nwords\n\n"
    (videos / "short.srt").write_text("".join(cue.format(hour, hour) for hour in ("00", "01", "100")))
    (warning,) = run(tmp_path).warnings
    assert warning["warning"].startswith("2 of its 3 subtitles lie outside its ")
    inside = [(0, 500, "words"), (3_600_000, 3_600_500, "an hour late")]
    write_video(videos / "inside.mkv", regular(2, 10), subtitles=inside, subtitle_codec="subrip")
    assert {"warning": "1 of its 2 subtitles lie outside its 2 s"}.items() <= run(tmp_path).warnings[
        -1
    ].items()


def test_subtitles_that_are_cut_or_too_many_are_told_once_with_their_count(
    tmp_path: Path, videos: Path
) -> None:
    cues = [
        f"00:00:00,000 --> 00:00:02,000\n{'word ' * (number % 2) + str(number)}\n\n" for number in range(53)
    ]
    (videos / "short.srt").write_text("".join(cues))
    encoder = Levels()
    encoder.longest = 5
    (warning,) = run(tmp_path, encoder=encoder).warnings
    assert Path(warning["path"]).stem == "short"
    assert warning["warning"] == (
        "3 of its 53 subtitles are not used, for 50 others are on screen with them; "
        "25 of its 53 subtitles are longer than the text encoder reads: their ends are cut"
    )
    assert store(tmp_path).record("short").info["warnings"] == [warning["warning"]]


def test_broken_files_never_stop_the_rest(tmp_path: Path, videos: Path) -> None:
    (videos / "empty.mp4").touch()
    (videos / "aaa.mp4").write_bytes(b"not a video at all" * 10)
    write_sound(videos / "mmm.mp4")
    os.mkfifo(videos / "pipe.mkv")
    cut = write_video(videos / "zzz.mkv", regular(6, 10))
    os.truncate(cut, cut.stat().st_size // 2)
    (videos / "short.srt").write_text("no times")
    (videos / "short.webm").touch()
    summary = run(tmp_path)
    assert summary.ingested == 3
    assert {Path(failure.path).name: failure.kind for failure in summary.failed} == {
        "aaa.mp4": "not-a-video",
        "empty.mp4": "empty",
        "mmm.mp4": "audio-only",
        "pipe.mkv": "unreadable",
        "short.webm": "empty",
        "zzz.mkv": "truncated",
    }
    (warning,) = summary.warnings
    assert Path(warning["path"]).name == "short.mkv"
    assert "repair or remove it" in warning["warning"]
    kept = run(tmp_path, options=replace(OPTIONS, keep_truncated=True))
    assert (kept.ingested, kept.skipped, len(kept.failed)) == (1, 3, 5)
    assert "cut off" in kept.warnings[0]["warning"]
    assert json.loads(json.dumps(kept.as_json()))["ingested"] == 1


def test_limit_takes_the_first_files(tmp_path: Path, videos: Path) -> None:
    assert run(tmp_path, options=replace(OPTIONS, limit=2)).ingested == 2


def test_features_that_cannot_be_stored_fail_their_file(tmp_path: Path, videos: Path) -> None:
    summary = run(tmp_path, encoder=Broken())
    assert [failure.kind for failure in summary.failed] == ["unusable-features"] * 3
    assert "float32 store" in summary.failed[0].reason


def test_nothing_to_ingest_and_two_at_once_are_refused(tmp_path: Path, videos: Path) -> None:
    (tmp_path / "none").mkdir()
    with pytest.raises(NotFound, match="there is no video in"):
        run(tmp_path, tmp_path / "none")
    run(tmp_path)
    with FeatureStore.open(tmp_path / "c" / "features" / Levels.fingerprint, "a"):
        with pytest.raises(Unavailable, match="another process is writing"):
            run(tmp_path)


def test_an_error_of_the_encoder_ends_the_readers(tmp_path: Path, videos: Path) -> None:
    class Failing(Levels):
        def images(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
            raise RuntimeError("out of memory")

    before = set(threading.enumerate())
    with pytest.raises(RuntimeError, match="out of memory"):
        run(tmp_path, encoder=Failing())
    assert set(threading.enumerate()) <= before
    assert run(tmp_path).ingested == 3


def test_progress_ends_at_the_total(tmp_path: Path, videos: Path) -> None:
    calls: list[tuple[int, int]] = []
    ingest([videos], tmp_path / "c", Levels(), OPTIONS, lambda done, total, _: calls.append((done, total)))
    total = sum((videos / name).stat().st_size for name in ("long.mp4", "short.mkv", "sub/lapse.mp4"))
    assert calls[-1] == (total, total)
    assert all(done <= total for done, _ in calls)
