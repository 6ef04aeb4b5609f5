"""Which stream is read, how far it is looked for, and why there is none."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.stream import Disposition
from PIL import Image

from tests.trainer.ingest.factories import grey, regular, write_audio, write_video
from trainer.ingest.errors import BadVideo
from trainer.ingest.video import VideoReport, VideoSampler


def read(path: Path) -> tuple[list[int], VideoReport]:
    """Return the level of each row and the report."""
    sampler = VideoSampler(path, Fraction(1), 32, threads=1)
    levels = [round(float(s.image.mean())) for s in sampler for _ in range(s.rows)]
    assert sampler.report is not None
    return levels, sampler.report


def refusal(path: Path) -> BadVideo:
    with pytest.raises(BadVideo) as refused:
        read(path)
    return refused.value


def picture(index: int, pts: int, rate: int) -> av.VideoFrame:
    frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), grey(index), np.uint8), format="rgb24")
    frame.pts, frame.time_base = pts, Fraction(1, rate)
    return frame


def sound_first(path: Path, seconds: float) -> Path:
    """Write sound alone for a while, and then two seconds of pictures."""
    with av.open(path, "w") as container:
        video: Any = container.add_stream("libx264", rate=25)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        sound: Any = container.add_stream("aac", rate=16000, options={"aac_coder": "fast"})
        sound.layout = "mono"
        write_audio(container, sound, seconds)
        for index in range(50):
            container.mux(video.encode(picture(index, round(seconds * 25) + index, 25)))
        container.mux(video.encode(None))
    return path


@pytest.mark.parametrize("name", ["a.ts", "a.mkv", "a.mp4", "a.flv"])
@pytest.mark.parametrize("seconds", [12, 90])
def test_a_stream_behind_sound_is_found(tmp_path: Path, name: str, seconds: int) -> None:
    levels, report = read(sound_first(tmp_path / name, seconds))
    assert (report.rows, report.frames, report.damaged) == (2, 50, 0)
    assert levels == pytest.approx([grey(0), grey(25)], abs=6)
    assert report.lead == pytest.approx(seconds, abs=0.2)


def two_streams(path: Path, *, moving: int, cover: bool = False) -> Path:
    """Write two video streams: the default one, or a cover, has one picture; the other moves."""
    with av.open(path, "w") as container:
        streams: list[Any] = [container.add_stream("libx264", rate=10) for _ in range(2)]
        for stream in streams:
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        streams[1 - moving].disposition = Disposition.attached_pic if cover else Disposition.default
        streams[moving].disposition = 0
        for index in range(30):
            for number, stream in enumerate(streams):
                if number == moving or not index:
                    container.mux(stream.encode(picture(index, index, 10)))
        for stream in streams:
            container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts"])
@pytest.mark.parametrize("moving", [0, 1])
def test_of_several_streams_the_one_that_moves_is_read(tmp_path: Path, name: str, moving: int) -> None:
    levels, report = read(two_streams(tmp_path / name, moving=moving))
    assert (report.frames, report.rows) == (30, 3)
    assert levels == pytest.approx([grey(0), grey(10), grey(20)], abs=6)


def test_an_animation_beside_its_still(tmp_path: Path) -> None:
    path = tmp_path / "a.avif"
    images = [Image.new("L", (64, 48), grey(i)) for i in range(30)]
    images[0].save(path, save_all=True, append_images=images[1:], duration=100)
    levels, report = read(path)
    assert (report.frames, report.duration) == (30, 3)
    assert levels == pytest.approx([grey(0), grey(10), grey(20)], abs=6)


def webp(path: Path) -> Path:
    images = [Image.new("L", (64, 48), grey(i)) for i in range(10)]
    images[0].save(path, save_all=True, append_images=images[1:], duration=100)
    return path


def still(path: Path) -> Path:
    Image.new("RGB", (64, 48)).save(path)
    return path


def text(path: Path) -> Path:
    path.write_text("A film.\n" * 50)
    return path


def encrypted(path: Path) -> Path:
    """Encrypt by common encryption, with a key the file does not hold."""
    key = {"encryption_scheme": "cenc-aes-ctr", "encryption_key": "01" * 16, "encryption_kid": "02" * 16}
    return write_video(path, regular(3, 10), container_options=key)


def in_fragments(path: Path) -> Path:
    """Name the pictures as encrypted in a file of fragments that say nothing of how."""
    fragments = {"movflags": "frag_keyframe+empty_moov"}
    key = {"encryption_scheme": "cenc-aes-ctr", "encryption_key": "01" * 16, "encryption_kid": "02" * 16}
    return write_video(path, regular(3, 10), container_options=key | fragments)


def protected(path: Path) -> Path:
    """Name the pictures as a shop's protection does."""
    write_video(path, regular(3, 10))
    path.write_bytes(path.read_bytes().replace(b"avc1", b"drmi"))
    return path


def scrambled(path: Path) -> Path:
    """Set the scrambling bits of every packet with pictures."""
    data = bytearray(write_video(path, regular(3, 10)).read_bytes())
    for start in range(0, len(data), 188):
        if (data[start + 1] & 31) << 8 | data[start + 2] == 0x100:
            data[start + 3] |= 0x80
            data[start + 40 : start + 188] = bytes(b ^ 0x5A for b in data[start + 40 : start + 188])
    path.write_bytes(data)
    return path


def segment(path: Path) -> Path:
    """Take the second part of a fragmented file, without its header."""
    data = write_video(
        path, regular(3, 10), options={"g": "10"}, container_options={"movflags": "frag_keyframe+empty_moov"}
    ).read_bytes()
    path.write_bytes(data[data.index(b"moof") - 4 :])
    return path


def header(path: Path) -> Path:
    """Take the header alone."""
    segment(path)
    data = write_video(
        path, regular(3, 10), container_options={"movflags": "frag_keyframe+empty_moov"}
    ).read_bytes()
    path.write_bytes(data[: data.index(b"moof") - 4])
    return path


@pytest.mark.parametrize(
    ("make", "name", "kind", "words"),
    [
        (webp, "a.webp", "unsupported-codec", "animated WebP; convert it to GIF or MP4"),
        (still, "a.webp", "not-a-video", "it is a picture"),
        (still, "a.jpg", "not-a-video", "it is a picture"),
        (still, "a.png", "not-a-video", "it is a picture"),
        (still, "a.avif", "not-a-video", "it is a picture"),
        (still, "picture.mp4.bmp", "not-a-video", "it is a picture"),
        (text, "a.nfo", "not-a-video", "it is text"),
        (encrypted, "a.mp4", "encrypted", "encrypted and the file holds no key"),
        (in_fragments, "a.mp4", "encrypted", "encrypted and the file holds no key"),
        (protected, "a.mp4", "encrypted", "encrypted and the file holds no key"),
        (scrambled, "a.ts", "encrypted", "encrypted and the file holds no key"),
        (segment, "a.mp4", "truncated", "segment without its header"),
        (header, "a.mp4", "empty", "a header alone"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_the_reason_is_read_from_the_file(
    tmp_path: Path, make: Callable[[Path], Path], name: str, kind: str, words: str
) -> None:
    error = refusal(make(tmp_path / name))
    assert (error.kind, words in str(error)) == (kind, True), str(error)


def test_no_exception_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from trainer.ingest import picture, reader

    def broken(*_: object) -> None:
        raise ValueError("no such pixel format")

    monkeypatch.setattr(picture, "upright", broken)
    path = write_video(tmp_path / "a.mp4", regular(1, 10))
    job = reader.Job("a", path, None, None)
    (told,) = reader.words(job, reader.ReadOptions(Fraction(1), 32))
    assert isinstance(told, BadVideo)
    assert str(told) == "it cannot be decoded: no such pixel format"
