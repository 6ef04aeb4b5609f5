"""Pictures that the ingest made: shown by the page, copied with snapshots, gone with their video."""

import io
import shutil
from pathlib import Path

from PIL import Image

from tests.clients.page.conftest import Page
from trainer.ingest import tiles
from trainer.library.deleting import delete
from trainer.library.restore import restore
from trainer.library.snapshot import snapshot


def kept(collection: Path) -> list[str]:
    return sorted(path.name for path in (collection / tiles.DIRECTORY).iterdir())


def test_the_page_shows_what_the_ingest_kept(page: Page) -> None:
    path = page.collection / tiles.DIRECTORY / tiles.key_of(page.videos / "talk.mp4")
    shown = page.get("/thumb/talk?t=3.2&size=128").body
    assert shown in path.read_bytes()
    # A larger one is made of the file.
    assert page.get("/thumb/talk?t=3.2&size=240").body not in path.read_bytes()
    strip = Image.open(io.BytesIO(page.get("/strip/talk?start=0&end=9&n=5").body))
    width, height = Image.open(io.BytesIO(shown)).size
    assert strip.size == (5 * width, height)


def test_they_are_copied_with_a_snapshot_and_go_with_their_video(page: Page, tmp_path: Path) -> None:
    assert len(kept(page.collection)) == 3
    snapshot(page.collection, str(tmp_path / "backup"))
    restore(tmp_path / "again", str(tmp_path / "backup"))
    assert kept(tmp_path / "again") == kept(page.collection)
    gone = tiles.key_of(page.videos / "talk.mp4")
    delete(tmp_path / "again", ["talk"])
    assert kept(tmp_path / "again") == [name for name in kept(page.collection) if name != gone]
    # Those of the snapshot are its own.
    shutil.rmtree(tmp_path / "again")
    assert kept(tmp_path / "backup") == kept(page.collection)
