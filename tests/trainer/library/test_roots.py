"""A job names files below the allowed roots alone."""

from pathlib import Path
from typing import Any

import pytest

from engine.errors import InvalidInput
from spr.internal.v1.library_service_pb2 import ListRequest, SubmitRequest
from spr.v1 import admin_service_pb2 as pb
from trainer.library.jobs import Queue
from trainer.library.service import LibraryServicer

NO_CALL: Any = None


@pytest.fixture
def servicer(tmp_path: Path) -> LibraryServicer:
    for folder in ("c", "in", "elsewhere"):
        (tmp_path / folder).mkdir()
    (tmp_path / "in" / "link").symlink_to(tmp_path / "elsewhere")
    queue = Queue(tmp_path / "c", "c", 100)
    return LibraryServicer({"c": queue}, lambda: None, [str(tmp_path / "in"), "s3://bucket/copies"])


def adding(*paths: str) -> pb.SubmitJobRequest:
    return pb.SubmitJobRequest(add=pb.AddVideos(paths=paths))


def copying(place: str) -> pb.SubmitJobRequest:
    return pb.SubmitJobRequest(snapshot=pb.Snapshot(destination=place))


def restoring(place: str) -> pb.SubmitJobRequest:
    return pb.SubmitJobRequest(restore=pb.Restore(source=place))


def test_what_lies_below_a_root_is_taken(servicer: LibraryServicer, tmp_path: Path) -> None:
    inside = str(tmp_path / "in" / "talk.mp4")
    jobs = [adding(inside), copying(f"file://{inside}"), copying("s3://bucket/copies/c"), restoring(inside)]
    for job in [*jobs, pb.SubmitJobRequest(delete=pb.DeleteVideos(video_ids=["a"]))]:
        servicer.Submit(SubmitRequest(job=job), NO_CALL)
    assert len(servicer.List(ListRequest(), NO_CALL).jobs) == 5


@pytest.mark.parametrize(
    ("make", "field", "place"),
    [
        (adding, "add.paths", "{}/elsewhere/talk.mp4"),
        (adding, "add.paths", "{}/in/../elsewhere"),
        (adding, "add.paths", "{}/in/link/talk.mp4"),
        (adding, "add.paths", "{}/inner"),
        (copying, "snapshot.destination", "{}/elsewhere"),
        (copying, "snapshot.destination", "file://{}/elsewhere"),
        (copying, "snapshot.destination", "s3://bucket/copies2"),
        (copying, "snapshot.destination", "s3://bucket/copies/../other"),
        (restoring, "restore.source", "s3://elsewhere/copies"),
    ],
)
def test_what_lies_elsewhere_is_refused_and_queued_nowhere(
    servicer: LibraryServicer, tmp_path: Path, make: Any, field: str, place: str
) -> None:
    with pytest.raises(InvalidInput, match=r"put it there, or write its folder into roots") as refused:
        servicer.Submit(SubmitRequest(job=make(place.format(tmp_path))), NO_CALL)
    assert (refused.value.reason, refused.value.field) == ("PATH_NOT_ALLOWED", field)
    assert not servicer.List(ListRequest(), NO_CALL).jobs
