"""Files as the page shows them: clips, pictures, subtitles, and what may be given out at all."""

import asyncio
import io
import json
import os
import threading
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.container import InputContainer
from PIL import Image
from starlette.requests import Request

from engine.errors import NotFound, Overloaded
from spr_gateway import clips, pictures, probing, speech
from spr_gateway.keep import Keep
from spr_gateway.media import Media
from spr_gateway.pictures import Picture
from spr_gateway.shelf import Video
from tests.trainer.ingest.factories import grey, regular, write_video
from trainer.ingest.errors import BadVideo

FILES = {
    "a.mp4": ("libx264", 0.0, "direct"),
    "b.mkv": ("libx264", 8.0, "copy"),
    "c.ts": ("libx264", 8.0, "copy"),
    "d.avi": ("mpeg4", 8.0, "convert"),
    "e.webm": ("libvpx", 0.0, "direct"),
}


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("films")
    for name, (codec, sound, _) in FILES.items():
        options = {"g": "15"} if codec == "libx264" else {}
        write_video(folder / name, regular(8.0, 10), codec=codec, audio_seconds=sound, options=options)
    return folder


def levels(container: InputContainer, offset: float) -> dict[float, float]:
    """The grey of each frame by its time, which `offset` makes the video's."""
    frames = ((frame.time, frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0))
    return {round(time + offset, 1): float(image.mean()) for time, image in frames if time is not None}


@pytest.mark.parametrize("name", FILES)
def test_a_clip_shows_the_seconds_that_it_says(films: Path, name: str) -> None:
    how = FILES[name][2]
    assert probing.probe(films / name).how == how
    clip = clips.cut(films / name, 3.3, 5.0)
    assert clip.offset <= 3.31
    assert clip.probe.how == how
    with av.open(io.BytesIO(clip.data), "r") as container:
        assert container.streams.video[0].codec_context.name == "h264"
        assert len(container.streams.audio) == (1 if FILES[name][1] else 0)
        shown = levels(container, clip.offset)
    with av.open(films / name) as container:
        wanted = levels(container, -pictures.first_time(container.streams.video[0]))
    # From the second asked for to the end of the span, each frame at its own time.
    times = [round(0.1 * n, 1) for n in range(33, 50)]
    assert set(times) <= set(shown)
    for seconds in times:
        assert abs(shown[seconds] - wanted[seconds]) < 8


@pytest.mark.parametrize("start", [0.0, 5.0, 17.0])
def test_a_clip_of_pictures_that_stand_for_seconds_shows_them(tmp_path: Path, start: float) -> None:
    """Of H.264 in Matroska the first packets have no decoding times."""
    path = write_video(tmp_path / "a.mkv", [6000 * number for number in range(20)], options={"bf": "2"})
    clip = clips.cut(path, start, start + 2)
    with av.open(io.BytesIO(clip.data), "r") as container:
        times = [frame.time for frame in container.decode(video=0) if frame.time is not None]
    assert start // 6 * 6 in [round(time + clip.offset) for time in times]


def test_a_span_without_pictures_and_a_text_are_refused(films: Path, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no pictures there"):
        clips.cut(films / "d.avi", 60.0, 70.0)
    (tmp_path / "no.mp4").write_text("not a film at all, but some text that goes on\n" * 50)
    with pytest.raises(BadVideo):
        clips.cut(tmp_path / "no.mp4", 0.0, 1.0)


@pytest.mark.parametrize("name", ["a.mp4", "b.mkv"])
def test_a_thumbnail_is_the_frame_of_its_second(films: Path, name: str) -> None:
    for seconds in (0.0, 4.5, 7.9):
        image = Image.open(io.BytesIO(pictures.thumbnail(films / name, seconds, 24).data))
        assert image.size == (32, 24)
        assert abs(float(np.asarray(image).mean()) - grey(round(seconds * 10))) < 6


def test_a_strip_has_its_frames_side_by_side(films: Path) -> None:
    image = np.asarray(Image.open(io.BytesIO(pictures.strip(films / "a.mp4", (1.0, 2.5, 6.0), 24).data)))
    assert image.shape == (24, 96, 3)
    levels = [float(image[:, 32 * n + 4 : 32 * n + 28].mean()) for n in range(3)]
    assert [abs(level - grey(frame)) < 6 for level, frame in zip(levels, (10, 25, 60), strict=True)] == [
        True
    ] * 3


def test_subtitles_are_webvtt_whatever_they_hold(tmp_path: Path) -> None:
    film = write_video(tmp_path / "x.mp4", regular(2.0, 5))
    (tmp_path / "x.srt").write_text("1\n00:00:00,500 --> 00:01:01,250\nif a < b\n--> c & d\n")
    vtt = speech.read(film, 90.0).vtt()
    assert vtt.startswith("WEBVTT\n\n00:00:00.500 --> 00:01:01.250\nif a &lt; b --&gt; c &amp; d\n")
    assert vtt.count("-->") == 1


def test_what_several_ask_for_is_made_once_and_kept_within_bytes() -> None:
    asyncio.run(_kept())


async def _kept() -> None:
    keep: Keep[Picture] = Keep(100, threads=1, waiting=3)
    made, go = [], threading.Event()

    def make(name: str, size: int) -> Picture:
        go.wait(30)
        made.append(name)
        return Picture(b"x" * size)

    owner = ("films", "talk")
    both = [asyncio.create_task(keep.get(owner, "a", lambda: make("a", 60))) for _ in range(2)]
    rest = [asyncio.create_task(keep.get(owner, name, lambda: make("z", 10))) for name in "bc"]
    await asyncio.sleep(0)
    with pytest.raises(Overloaded, match="too many pictures"):
        await keep.get(owner, "d", lambda: make("d", 1))
    both[0].cancel()  # one who leaves takes nothing from the others
    go.set()
    assert (await both[1]).size == 60
    await asyncio.gather(*rest)
    assert made.count("a") == 1
    await keep.get(("films", "other"), "e", lambda: make("e", 50))  # more than fits: the oldest goes
    await keep.get(owner, "a", lambda: make("a", 60))
    assert made.count("a") == 2
    keep.forget(lambda one: one != owner)
    await keep.get(owner, "a", lambda: make("a", 60))
    assert made.count("a") == 3
    keep.close()


def test_a_video_whose_file_has_a_name_that_is_no_utf8_is_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_video(tmp_path / os.fsdecode(b"\xff.mp4"), regular(2.0, 10), size=(64, 48))
    monkeypatch.setattr(speech, "of", lambda *_: speech.Speech(()))

    class Shelf:
        def find(self, collection: str, video: str) -> Video:
            return Video(collection, video, path, 2.0, tmp_path, "1")

    media: Any = Media(Shelf(), 1 << 20)  # type: ignore[arg-type]
    scope = {"type": "http", "path_params": {"video": "a"}, "query_string": b"", "headers": []}
    told = asyncio.run(media.about(Request(scope)))
    assert json.loads(told.body)["file"] == "\\xff.mp4"
