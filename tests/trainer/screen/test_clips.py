"""Real clips, where they are at hand beside the repository: what is said and written in them is found."""

from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest

from tests.trainer.ingest.levels import run, store
from tests.trainer.screen.factories import Picture, write_film
from trainer.ingest import texts
from trainer.ingest.scan import survey
from trainer.ingest.texts import Texts
from trainer.screen.run import read_screens
from trainer.speech.run import Recogniser, transcribe_all

FOLDER = Path(__file__).parents[4] / "shared" / "data" / "videos"
NASA, BUNNY = (FOLDER / name for name in ("torchcodec_nasa_13013.mp4", "moviepy_bbb_0_30.webm"))

pytestmark = pytest.mark.skipif(
    not (NASA.is_file() and BUNNY.is_file()), reason=f"there are no real clips in {FOLDER}"
)


def kept(root: Path, video: Path) -> Texts:
    """Ingest a video and return its texts."""
    run(root, video)
    return texts.read(root / "c", store(root).record(video.stem).info)


def cut(path: Path, begin: float, end: float) -> Iterator[Picture]:
    """Yield pictures of a video, four a second, half as large."""
    with av.open(path) as container:
        container.seek(int(begin * av.time_base))
        due = begin
        for frame in container.decode(video=0):
            if frame.time is not None and frame.time >= end:
                return
            if frame.time is not None and frame.time >= due:
                yield np.asarray(frame.reformat(640, 360, "rgb24").to_ndarray(), np.uint8)
                due += 0.25


def without_subtitles(path: Path, to: Path) -> Path:
    """Copy the first picture and sound tracks of a video."""
    with av.open(path) as source, av.open(to, "w") as target:
        tracks = [source.streams.video[0], source.streams.audio[0]]
        copies = {track.index: target.add_stream_from_template(track) for track in tracks}
        for packet in source.demux(tracks):
            if packet.dts is not None:
                packet.stream = copies[packet.stream.index]
                target.mux(packet)
    return to


def test_the_opening_of_a_film_is_read(tmp_path: Path) -> None:
    film = write_film(tmp_path / "film.mp4", cut(BUNNY, 20, 24), (640, 360))
    read_screens(tmp_path / "c", survey([film]).found, lambda *_: None)
    lines = {line.text: line for line in kept(tmp_path, film).written}
    # It says so from the clip's first second to its third, over clouds that move.
    assert {"THE PEACH OPEN MOVIE PROJECT", "PRESENTS"} <= set(lines)
    presents = lines["PRESENTS"]
    assert presents.start < 2 < presents.end <= 4
    left, top, right, bottom = presents.box or (0, 0, 0, 0)
    assert (left < 0.5 < right, top > 0.4, bottom < 0.7) == (True, True, True)


def test_the_subtitles_inside_a_clip_are_said(tmp_path: Path) -> None:
    found = kept(tmp_path, NASA)
    assert found.language == "eng"
    said = [line for line in found.said if "Goddard Space Flight Center" in line.text]
    assert [(line.start, line.end) for line in said] == [pytest.approx((8.35, 12.47), abs=0.01)]


def test_what_is_spoken_in_a_clip_is_heard(tmp_path: Path) -> None:
    clip = without_subtitles(NASA, tmp_path / "nasa.mp4")
    transcribe_all(tmp_path / "c", survey([clip]).found, Recogniser("moonshine"), lambda *_: None)
    found = kept(tmp_path, clip)
    assert found.language == "en"
    [line] = [line for line in found.said if "Goddard Space Flight Center" in line.text]
    assert [line.start, line.end] == pytest.approx([8.35, 12.47], abs=1)


def test_a_name_that_is_told_is_heard_in_speech_and_another_is_not(tmp_path: Path) -> None:
    clip = without_subtitles(NASA, tmp_path / "nasa.mp4")
    for terms, name in (((), "Web"), (("Webb", "Hubble"), "Webb")):
        recogniser = Recogniser("moonshine", terms=terms)
        transcribe_all(tmp_path / "c", survey([clip]).found, recogniser, lambda *_: None)
        said = " ".join(line.text for line in kept(tmp_path, clip).said)
        assert f"segment of the {name} Space Telescope" in said
        assert "Hubble" not in said
