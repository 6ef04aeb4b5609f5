"""Files that cannot be ingested say why; those that are cut off can be kept."""

import contextlib
import os
import random
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from tests.trainer.ingest.factories import regular, write_sound, write_video
from trainer.ingest.container import check_file
from trainer.ingest.errors import BadVideo
from trainer.ingest.video import VideoReport, VideoSampler

FASTSTART: dict[str, Any] = {"container_options": {"movflags": "faststart"}}


def refusal(path: Path) -> BadVideo:
    with pytest.raises(BadVideo) as refused:
        read(path)
    return refused.value


def read(path: Path, *, keep_truncated: bool = False) -> VideoReport:
    sampler = VideoSampler(path, Fraction(1), 32, keep_truncated=keep_truncated)
    for _ in sampler:
        pass
    assert sampler.report is not None
    return sampler.report


def cut(path: Path, share: float) -> Path:
    os.truncate(path, int(path.stat().st_size * share))
    return path


def six_seconds(path: Path, codec: str = "libx264", **options: Any) -> Path:
    return write_video(path, regular(6, 10), codec=codec, size=(96, 64), options={"g": "10"}, **options)


def empty(path: Path) -> Path:
    path.touch()
    return path


def noise(path: Path) -> Path:
    path.write_bytes(random.Random(1).randbytes(5000))
    return path


def text(path: Path) -> Path:
    path.write_text("The quick brown fox.\n" * 100)
    return path


def playlist(path: Path) -> Path:
    path.write_text("#EXTM3U\n#EXTINF:10,\nhttp://127.0.0.1:9/a.ts\n#EXT-X-ENDLIST\n")
    return path


def encrypted_playlist(path: Path) -> Path:
    path.write_text('#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI="https://a.invalid/k"\n#EXTINF:10,\na.ts\n')
    return path


def pipe(path: Path) -> Path:
    os.mkfifo(path)
    return path


def unknown_codec(path: Path) -> Path:
    six_seconds(path)
    path.write_bytes(path.read_bytes().replace(b"avc1", b"zzzz"))
    return path


def zeroed(path: Path) -> Path:
    """Header and index are whole, the pictures are zeros."""
    data = bytearray(six_seconds(path, **FASTSTART).read_bytes())
    start = data.index(b"mdat") + 4
    data[start:] = bytes(len(data) - start)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("make", "name", "kind", "words"),
    [
        (empty, "a.mp4", "empty", "0 bytes"),
        (noise, "a.mp4", "not-a-video", "no format like it"),
        (text, "a.mkv", "not-a-video", "no format like it"),
        (playlist, "a.mp4", "not-a-video", "it is a playlist of files that are not here"),
        (encrypted_playlist, "a.m3u8", "encrypted", "holds no key"),
        (pipe, "a.mp4", "unreadable", "not a regular file"),
        (Path.absolute, "missing.mp4", "unreadable", "No such file"),
        (write_sound, "a.mp4", "audio-only", "no video stream, only audio"),
        (unknown_codec, "a.mp4", "unsupported-codec", "no decoder"),
        (zeroed, "a.mp4", "corrupt", "none of its 60 video packets decodes as h264"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_the_reason_is_told(
    tmp_path: Path, make: Callable[[Path], Path], name: str, kind: str, words: str
) -> None:
    error = refusal(make(tmp_path / name))
    assert error.kind == kind
    assert words in str(error)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_forbidden_file_is_unreadable(tmp_path: Path) -> None:
    path = six_seconds(tmp_path / "a.mp4")
    path.chmod(0)
    with pytest.raises(BadVideo, match="Permission denied"):
        check_file(path)


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("a.mkv", "libx264", {}),
        ("a.webm", "libvpx-vp9", {}),
        ("a.avi", "mpeg4", {}),
        ("a.gif", "gif", {}),
        ("a.flv", "libx264", {}),
        ("a.mp4", "mpeg4", FASTSTART),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_file_cut_off_is_refused_or_kept(
    tmp_path: Path, name: str, codec: str, options: dict[str, Any]
) -> None:
    path = cut(six_seconds(tmp_path / name, codec, **options), 0.6)
    error = refusal(path)
    assert error.kind == "truncated"
    assert "--keep-truncated" in str(error)
    report = read(path, keep_truncated=True)
    assert report.truncated
    assert 0 < report.duration < 5
    assert report.rows == -int(-report.duration // 1)


@pytest.mark.parametrize("name", ["a.mp4", "a.mov"])
def test_an_mp4_without_its_index_cannot_be_kept(tmp_path: Path, name: str) -> None:
    path = cut(six_seconds(tmp_path / name), 0.5)
    assert refusal(path).kind == "truncated"
    with pytest.raises(BadVideo, match="moov"):
        read(path, keep_truncated=True)


def test_a_few_damaged_packets_are_counted(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mov", regular(6, 10), codec="mpeg4", options={"g": "10"})
    data = bytearray(path.read_bytes())
    start = data.index(b"mdat") + 4 + 1000
    data[start : start + 500] = random.Random(1).randbytes(500)
    path.write_bytes(data)
    report = read(path)
    assert report.damaged > 0
    assert report.rows == 6


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.gif", "a.avi", "a.ts"])
def test_no_cut_and_no_damage_raises_anything_else(tmp_path: Path, name: str) -> None:
    """Whatever the bytes, a file is read or refused."""
    codec = {"a.gif": "gif", "a.avi": "mpeg4"}.get(name, "libx264")
    whole = write_video(tmp_path / name, regular(2, 10), codec=codec).read_bytes()
    dice = random.Random(7)
    for _ in range(40):
        data = bytearray(whole[: dice.randrange(1, len(whole) + 1)])
        for _ in range(dice.randrange(0, 20)):
            data[dice.randrange(len(data))] = dice.randrange(256)
        (tmp_path / name).write_bytes(data)
        with contextlib.suppress(BadVideo):
            assert read(tmp_path / name, keep_truncated=dice.random() < 0.5).rows >= 1
