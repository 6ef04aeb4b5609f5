"""Sound to sentences: where somebody speaks, what recognisers hear, and what of it is kept."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from engine.errors import InvalidInput, SprError, Unavailable
from engine.files import sha256
from tests import numeric
from tests.trainer.ingest.factories import regular, write_video
from tests.trainer.speech.factories import Parrot, silence, spoken, write_talk, write_whisper
from trainer.ingest.passes import Task
from trainer.ingest.scan import survey
from trainer.ingest.sidecars import read_sidecar
from trainer.ingest.transcripts import Transcripts
from trainer.speech import run
from trainer.speech.engines import Whisper, grouped, open_engine
from trainer.speech.hearing import transcribe
from trainer.speech.run import Recogniser, Transcribed, transcribe_all
from trainer.speech.sound import RATE, Chunk, sound
from trainer.speech.voice import LONGEST, utterances
from workers.ranker.encoder.encoder import quietly


def quiet(done: float, total: float, name: str) -> None:
    """No progress."""


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Somebody speaks at 3 s and at 8 s of 12."""
    folder = tmp_path_factory.mktemp("talk")
    word = spoken()
    sounds = [silence(3), word, silence(5 - len(word) / RATE), word, silence(4 - len(word) / RATE)]
    return write_talk(folder / "talk.mp4", sounds)


def task(collection: Path, video: Path) -> Task:
    return Task(video, sha256(video), Transcripts.of(collection))


def test_speech_is_found_and_silence_is_not(talk: Path) -> None:
    found = list(utterances(sound(talk)))
    assert len(found) == 2
    numeric.close([each.start for each in found], [3, 8], 0.4, scale=1)
    assert all(1.5 < each.end - each.start < 4 for each in found)


@pytest.mark.parametrize(
    ("name", "starts"), [("a.ts", (0, 5000)), ("a.ts", (5000, 0)), ("a.ts", (0, 0)), ("a.mkv", (0, 0))]
)
def test_speech_in_joined_recordings_follows_the_pictures(
    tmp_path: Path, name: str, starts: tuple[int, ...]
) -> None:
    word = spoken()
    sounds = [silence(1), word, silence(5 - len(word) / RATE)]
    parts = [
        write_talk(tmp_path / f"{number}{name}", sounds, {"output_ts_offset": str(start)})
        for number, start in enumerate(starts)
    ]
    path = tmp_path / name
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    found = list(utterances(sound(path)))
    numeric.close([each.start for each in found], [1, 7], 0.4, scale=1)


def test_a_gap_in_the_sound_moves_what_follows() -> None:
    word = spoken()
    chunks = [
        Chunk(1.0, silence(1)),
        Chunk(2.0, word),
        Chunk(60.0, word),
        Chunk(60.0 + len(word) / RATE, silence(1)),
    ]
    starts = [each.start for each in utterances(chunks)]
    numeric.close(starts, [2, 60], 0.4, scale=1)


@pytest.mark.parametrize(
    ("left", "right", "level"), [(1, 1, 1.0), (1, -1, 1.0), (1, 0, 0.5), (0, 1, 0.5), (0, 0, 0.0)]
)
@pytest.mark.parametrize("codec", ["pcm_s16le", "pcm_u8", "aac"])
def test_channels_in_opposite_phase_are_heard(
    tmp_path: Path, codec: str, left: int, right: int, level: float
) -> None:
    tone = (np.sin(np.arange(48_000) / 20) * 8000).astype(np.int16)
    stereo = np.stack([left * tone, right * tone], 1).reshape(1, -1)
    with av.open(tmp_path / "a.mka", "w") as container:
        stream: Any = container.add_stream(codec, rate=48_000, layout="stereo")
        frame = av.AudioFrame.from_ndarray(stereo, format="s16", layout="stereo")
        frame.sample_rate = 48_000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    samples = np.concatenate([chunk.samples for chunk in sound(tmp_path / "a.mka")]).astype(float)
    assert np.abs(samples).mean() == pytest.approx(level * np.abs(tone).mean(), rel=0.02, abs=2)


def test_samples_of_64_bits_are_heard(tmp_path: Path) -> None:
    """PyAV makes no array of them."""
    with av.open(tmp_path / "a.nut", "w") as container:
        stream: Any = container.add_stream("pcm_s64le", rate=48_000, layout="stereo")
        frame = av.AudioFrame.from_ndarray(np.full((1, 9600), 8000, np.int16), format="s16", layout="stereo")
        frame.sample_rate = 48_000
        container.mux(stream.encode(frame))
    samples = np.concatenate([chunk.samples for chunk in sound(tmp_path / "a.nut")])
    assert np.median(samples) == pytest.approx(8000, rel=0.01)


def test_a_speech_without_pauses_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trainer.speech.voice._END_SHARE", 2.0)  # no pause ends it
    found = list(utterances([Chunk(0.0, np.tile(spoken(), 16))]))
    assert all(len(each.samples) <= LONGEST * RATE * 3 // 100 for each in found)
    assert len(found) == 2
    assert found[1].start == pytest.approx(found[0].end, abs=1e-6)


@pytest.mark.parametrize("engine", ["moonshine", pytest.param("pocketsphinx", marks=pytest.mark.nightly)])
def test_an_embedded_recogniser_hears_a_sentence_where_it_is_said(
    engine: str, talk: Path, tmp_path: Path
) -> None:
    result = transcribe_all(tmp_path, survey([talk]).found, Recogniser(engine), quiet)
    cues = read_sidecar(Transcripts.of(tmp_path).path(sha256(talk))).cues
    assert result.videos == 1
    assert result.cues == len(cues)
    for begins in (3, 8):
        said = " ".join(cue.text for cue in cues if begins - 0.4 < cue.start < begins + 3)
        assert "two three four five" in said.replace(",", "")


def test_whisper_loads_detects_a_language_and_times_what_it_hears(tmp_path: Path) -> None:
    with quietly():
        folder = write_whisper(tmp_path / "tiny")
    engine = Whisper(str(folder), "cpu", None)
    heard = engine.hear(spoken())
    assert heard.language in ("en", "de")
    assert all(0 <= cue.start < cue.end <= len(spoken()) / RATE for cue in heard.cues)
    assert Whisper(str(folder), "cpu", "de").hear(spoken()).language == "de"
    with pytest.raises(InvalidInput, match="does not know the language 'fr'"):
        Whisper(str(folder), "cpu", "fr")


def test_a_recogniser_that_cannot_be_had_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "none").mkdir()
    for spec, words in (("siri", "is no recogniser"), (f"whisper:{tmp_path / 'none'}", "cannot be loaded")):
        with pytest.raises(SprError, match=words):
            open_engine(spec)
    for engine in ("moonshine", "pocketsphinx"):
        with pytest.raises(InvalidInput, match="English alone"):
            open_engine(engine, language="de")
    for package in ("onnxruntime", "moonshine_voice", "webrtcvad"):
        monkeypatch.setitem(sys.modules, package, None)
        with pytest.raises(Unavailable, match=r"is not installed: pip install 'spr-engine\[speech\]'"):
            open_engine("moonshine")


def test_words_become_cues_at_pauses() -> None:
    words = [(0.0, 0.4, "good"), (0.5, 0.9, "morning"), (2.0, 2.5, "hello")]
    assert [(cue.start, cue.end, cue.text) for cue in grouped(words)] == [
        (0.0, 0.9, "good morning"),
        (2.0, 2.5, "hello"),
    ]


def test_a_killed_transcription_goes_on_at_the_sentence(talk: Path, tmp_path: Path) -> None:
    mine = task(tmp_path, talk)
    first = Parrot(breaks=1)
    with pytest.raises(KeyboardInterrupt):
        transcribe(mine, first, lambda at: None)
    with mine.partial.open("a") as partial:
        partial.write('{"at": "torn')
    second = Parrot()
    outcome = transcribe(mine, second, lambda at: None)
    assert (len(first.heard), len(second.heard), outcome.cues, outcome.language) == (1, 1, 2, "de")
    assert not mine.partial.exists()
    # Another recogniser takes over nothing of it.
    with pytest.raises(KeyboardInterrupt):
        transcribe(mine, Parrot(breaks=1), lambda at: None)
    other = Parrot(name="parrot 2")
    transcribe(mine, other, lambda at: None)
    assert len(other.heard) == 2


@pytest.fixture
def parrot(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path, Path, str], Transcribed]:
    """Transcribe a video into a collection by a recogniser of that name."""

    def transcribe_by(collection: Path, video: Path, name: str) -> Transcribed:
        monkeypatch.setattr(run, "open_engine", lambda *_: Parrot(name=name))
        return transcribe_all(collection, survey([video]).found, Recogniser("whisper:parrot"), quiet)

    return transcribe_by


def test_a_corrected_transcript_is_never_written_over(
    talk: Path, tmp_path: Path, parrot: Callable[[Path, Path, str], Transcribed]
) -> None:
    path = Transcripts.of(tmp_path).path(sha256(talk))
    assert parrot(tmp_path, talk, "one").videos == 1
    assert parrot(tmp_path, talk, "one").kept == 1
    assert parrot(tmp_path, talk, "two").videos == 1  # nobody had corrected it
    path.write_text(path.read_text().replace("sentence 1", "Good morning"))
    assert parrot(tmp_path, talk, "three").kept == 1
    assert "Good morning" in path.read_text()
    [(_, head)] = list(Transcripts.of(tmp_path))
    assert (head.corrected, head.engine, head.video) == (True, "two", "talk.mp4")


def test_a_video_with_subtitles_or_without_sound_is_not_transcribed(
    talk: Path, tmp_path: Path, parrot: Callable[[Path, Path, str], Transcribed]
) -> None:
    mute = write_video(tmp_path / "mute.mp4", regular(1, 10))
    titled = tmp_path / "titled.mp4"
    titled.write_bytes(talk.read_bytes())
    (tmp_path / "titled.srt").write_text("1\n00:00:02,000 --> 00:00:03,500\nhello\n")
    for video in (mute, titled):
        assert parrot(tmp_path / "c", video, "one").videos == 0
    (tmp_path / "titled.srt").write_text("no subtitles at all")
    assert parrot(tmp_path / "c", titled, "one").videos == 0


@pytest.mark.parametrize("words", ["", "[iso : 110] [shutter : 1/200.0]", "..."])
def test_a_video_whose_subtitle_file_says_nothing_is_transcribed(
    talk: Path, tmp_path: Path, parrot: Callable[[Path, Path, str], Transcribed], words: str
) -> None:
    cue = f"1\n00:00:00,000 --> 00:00:01,000\n{words}\n" if words else ""
    talk.with_suffix(".srt").write_text(cue)
    assert parrot(tmp_path / "c", talk, "one").videos == 1


def test_a_recogniser_is_not_loaded_where_there_is_nothing_to_hear(tmp_path: Path) -> None:
    mute = write_video(tmp_path / "mute.mp4", regular(1, 10))
    nothing = transcribe_all(tmp_path / "c", survey([mute]).found, Recogniser("whisper:/nowhere"), quiet)
    assert (nothing.videos, nothing.kept) == (0, 0)
    # What is never heard by it is refused all the same: a collection would remember it.
    for recogniser, words in (
        (Recogniser("siri"), "is no recogniser"),
        (Recogniser("moonshine", language="de"), "moonshine hears English alone, not 'de'"),
        (Recogniser("pocketsphinx", terms=("Eva",)), "pocketsphinx expects no terms; take moonshine"),
    ):
        with pytest.raises(InvalidInput, match=words):
            transcribe_all(tmp_path / "c", survey([mute]).found, recogniser, quiet)
