"""Transcripts on their way into a collection."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from engine.files import sha256
from spr_cli.main import cli
from tests.trainer.ingest.levels import Levels
from tests.trainer.speech.factories import silence, spoken, write_talk
from trainer.ingest.options import IngestOptions
from trainer.ingest.pipeline import ingest
from trainer.ingest.subtitles import Cue
from trainer.ingest.transcripts import Contents, Transcripts
from workers.feature_store.store import FeatureStore


@pytest.fixture
def talk(tmp_path: Path) -> Path:
    return write_talk(tmp_path / "talk.mp4", [silence(1), spoken(), silence(1)])


def rows(collection: Path, video: Path) -> list[int]:
    """Ingest, and return the seconds in which something is said."""
    encoder = Levels()
    ingest([video], collection, encoder, IngestOptions(), lambda *_: None)
    store = FeatureStore.open(collection / "features" / encoder.fingerprint)
    said = store.rows(video.stem, "subtitles")
    return np.flatnonzero(np.abs(said).sum(axis=1)).tolist()


def test_a_transcript_serves_for_want_of_subtitles(talk: Path, tmp_path: Path) -> None:
    collection = tmp_path / "c"
    assert rows(collection, talk) == []
    transcripts = Transcripts.of(collection)
    transcripts.write(sha256(talk), "talk.mp4", "parrot", "en", [Cue(1.0, 1.9, "good morning")])
    assert rows(collection, talk) == [1]
    path = transcripts.path(sha256(talk))
    path.write_text(path.read_text().replace("00:00:01.900", "00:00:02.900"))
    assert rows(collection, talk) == [1, 2]
    talk.with_suffix(".srt").write_text("1\n00:00:03,000 --> 00:00:03,500\nhello\n")
    assert rows(collection, talk) == [3]
    talk.with_suffix(".srt").write_text("1\n00:00:03,000 --> 00:00:03,500\n[iso : 110]\n")
    assert rows(collection, talk) == [1, 2]
    path.write_text(path.read_text().replace("00:00:02.900", "00:00:01.900"))
    assert rows(collection, talk) == [1]
    talk.with_suffix(".srt").write_text("1\n00:00:03,000 --> 00:00:03,500\nhello\n")
    assert rows(collection, talk) == [3]


def test_a_file_is_known_by_its_size_and_time(talk: Path, tmp_path: Path) -> None:
    transcripts = Transcripts.of(tmp_path / "c")
    contents = Contents(transcripts.folder)
    transcripts.write(contents.of(talk), "talk.mp4", "parrot", "en", [])
    contents.keep()
    assert transcripts.of_file(talk) == transcripts.path(sha256(talk))
    talk.write_bytes(talk.read_bytes() + b"0")
    assert transcripts.of_file(talk) is None


def test_transcripts_are_listed(talk: Path, tmp_path: Path) -> None:
    collection = tmp_path / "c"
    collection.mkdir()
    shown = CliRunner().invoke(cli, ["corpus", "transcripts", str(collection)])
    assert "has no transcripts" in shown.output
    Transcripts.of(collection).write(
        "ab" * 32, "talk.mp4", "parrot", "en", [Cue(0, 1, "so"), Cue(1, 2, "ist")]
    )
    Transcripts.of_screens(collection).write("ab" * 32, "talk.mp4", "reader", "", [])
    path = Transcripts.of(collection).path("ab" * 32)
    path.write_bytes(path.read_text().replace("ist", "ißt").encode("utf-16"))
    shown = CliRunner().invoke(cli, ["corpus", "transcripts", str(collection), "--json"])
    said, written = json.loads(shown.output)["transcripts"]
    assert (said["video"], said["engine"], said["lines"], said["corrected"]) == (
        "talk.mp4",
        "parrot",
        2,
        True,
    )
    assert (written["channel"], written["lines"], written["corrected"]) == ("written", 0, False)
    shown = CliRunner().invoke(cli, ["corpus", "transcripts", str(collection)])
    assert "talk.mp4  (2 lines said in en, parrot, corrected)" in shown.output
    assert "talk.mp4  (no lines written, reader)" in shown.output


@pytest.mark.parametrize("recogniser", [[], ["--transcribe", "none"]])
def test_a_language_and_terms_belong_to_a_recogniser(
    talk: Path, tmp_path: Path, recogniser: list[str]
) -> None:
    names = tmp_path / "names.txt"
    names.write_text("Priya\n")
    asked = ["ingest", str(talk), "--collection", str(tmp_path / "c"), "--encoder", "e", *recogniser]
    for option, value in (("--language", "de"), ("--terms", str(names))):
        shown = CliRunner().invoke(cli, [*asked, option, value])
        assert shown.exit_code == 2
        assert f"{option} is of the recogniser" in shown.output
