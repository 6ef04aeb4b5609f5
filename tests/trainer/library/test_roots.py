from pathlib import Path
from typing import Any

import pytest

from engine import config
from engine.access.settings import PATHS
from engine.errors import PermissionDenied
from spr.internal.v1 import library_service_pb2 as pb
from spr.v1.admin_service_pb2 import AddVideos, Restore, Snapshot, SubmitJobRequest
from trainer.ingest.scan import survey
from trainer.library.jobs import Queue
from trainer.library.roots import Roots, roots_of
from trainer.library.service import LibraryServicer

SAYS = r"outside of the roots .*media, s3://bucket/spr\)"


@pytest.fixture
def media(tmp_path: Path) -> Path:
    """Return a folder with a video, beside one that a link in it leads to."""
    folder, secret = tmp_path / "media", tmp_path / "secret"
    for one in (folder, secret):
        one.mkdir()
        (one / "film.mp4").write_bytes(b"")
    (folder / "away").symlink_to(secret)
    (folder / "away.mp4").symlink_to(secret / "film.mp4")
    return folder


@pytest.mark.parametrize(
    ("work", "allowed"),
    [
        (lambda media: {"add": AddVideos(paths=[f"{media}/film.mp4", str(media)])}, True),
        (lambda media: {"add": AddVideos(paths=[f"{media}/film.mp4", f"{media}/../secret/film.mp4"])}, False),
        (lambda media: {"add": AddVideos(paths=[f"{media}/away/film.mp4"])}, False),
        (lambda media: {"add": AddVideos(paths=[f"{media}-other/film.mp4"])}, False),
        (lambda media: {"snapshot": Snapshot(destination=f"{media}/new/copy")}, True),
        (lambda media: {"snapshot": Snapshot(destination=f"{media}/away/copy")}, False),
        (lambda media: {"snapshot": Snapshot(destination="s3://bucket/spr/copy")}, True),
        (lambda media: {"snapshot": Snapshot(destination="s3://bucket/sprout")}, False),
        (lambda media: {"snapshot": Snapshot(destination="s3://bucket/spr/../copy")}, False),
        (lambda media: {"snapshot": Snapshot(destination="simplecache::s3://bucket/spr/copy")}, False),
        (lambda media: {"restore": Restore(source=f"file://{media}/copy")}, True),
        (lambda media: {"restore": Restore(source="file:///etc")}, False),
        (lambda media: {"restore": Restore(source="local:///etc")}, False),
    ],
)
def test_a_request_names_files_below_the_roots_alone(
    memory: Path, media: Path, work: Any, allowed: bool
) -> None:
    queue = Queue(memory, "c", 100)
    servicer: Any = LibraryServicer({"c": queue}, lambda: None, Roots([str(media), "s3://bucket/spr/"]))
    request = pb.SubmitRequest(job=SubmitJobRequest(**work(media)))
    if allowed:
        servicer.Submit(request, None)
    else:
        with pytest.raises(PermissionDenied, match=SAYS) as caught:
            servicer.Submit(request, None)
        assert caught.value.reason == "OUTSIDE_ROOTS"
    assert len(queue.jobs("", 100)) == allowed
    queue.close()


def test_links_in_a_folder_lead_nowhere_else(media: Path) -> None:
    found = Roots([str(media)]).within(survey([media]))
    assert [file.path.name for file in found.found] == ["film.mp4"]
    assert (media / "away.mp4", "it lies outside of the library's roots") in found.left_out
    assert len(Roots(None).within(survey([media])).found) == 2


def test_without_roots_all_is_allowed_or_nothing_with_access(tmp_path: Path) -> None:
    path = tmp_path / "topology.toml"
    text = """collection = "c"
[[index]]
shard = 0
listen = "127.0.0.1:1"
[[ranker]]
listen = "127.0.0.1:2"
[library]
watch = ["/watched"]
ROOTS
"""
    access = "\n".join(["[access]", *(f'{name} = "x"' for name in PATHS)])

    def may(text: str, location: str) -> bool:
        path.write_text(text)
        topology = config.read(path)
        assert topology.library is not None
        try:
            roots_of(topology, topology.library).check("add.paths", location)
        except PermissionDenied:
            return False
        return True

    beside = text.replace("ROOTS", 'roots = ["videos"]')
    assert may(text.replace("ROOTS", ""), "/anywhere")
    assert not may(text.replace("ROOTS", access), "/anywhere")
    assert may(text.replace("ROOTS", access), "/watched/film.mp4")
    assert may(beside, str(tmp_path / "videos" / "film.mp4"))
    assert not may(beside, str(tmp_path / "film.mp4"))
