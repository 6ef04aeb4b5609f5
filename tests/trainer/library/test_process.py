"""A real library process: what it acknowledged is done, once, however often it is killed."""

import time
from collections.abc import Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path

import grpc
import pytest

from engine import versions
from engine.corpus import open_corpus
from engine.version_lock import only_writer
from spr.internal.v1 import library_service_pb2 as pb
from spr.v1.admin_service_pb2 import AddVideos, Compact, DeleteVideos, Job, Verify
from tests import apart
from tests.system.service import until
from tests.trainer.library.running import Library, clip, world
from trainer.collection.places import features_directory
from workers.feature_store.store import FeatureStore

KILL, TERM = BaseProcess.kill, BaseProcess.terminate


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("library")
    world(path)
    return path


@pytest.fixture(scope="module")
def library(home: Path) -> Iterator[Library]:
    inbox = home / "inbox"
    inbox.mkdir()
    running = Library(home / "c", watch=[str(inbox)], max_queued=50)
    assert running.start()["ready"]
    yield running
    if running.process is not None and running.process.is_alive():
        assert running.end(TERM) == 0


def ids(library: Library) -> list[str]:
    return open_corpus(library.collection).catalogue.ids


def reasons(library: Library) -> list[str]:
    found = [versions.read(library.collection, str(n)) for n in versions.numbers(library.collection)]
    return [version.reason for version in found]


def test_a_clip_is_searchable_when_its_job_is_done(library: Library, home: Path) -> None:
    path = clip(home / "more" / "fresh.mp4", 30.0)
    told = library.submit(request_id="fresh", add=AddVideos(paths=[str(path)]))
    assert told.state in (Job.STATE_QUEUED, Job.STATE_RUNNING)
    (job,) = library.ended("fresh")
    assert (job.state, job.error, list(job.video_ids)) == (Job.STATE_DONE, "", ["fresh"])
    assert open_corpus(library.collection, job.version).catalogue.ordinal("fresh") >= 0
    again = library.submit(request_id="once more", add=AddVideos(paths=[str(path)]))
    (job,) = library.ended(again.request_id)
    assert "unchanged" in job.detail
    assert "fresh" in ids(library)


def test_a_deleted_video_is_gone_and_no_build_finds_it(library: Library, home: Path) -> None:
    path = clip(home / "more" / "short-lived.mp4")
    library.submit(request_id="in", add=AddVideos(paths=[str(path)]))
    library.submit(request_id="out", delete=DeleteVideos(video_ids=["short-lived"], purge=True))
    library.submit(request_id="whole", verify=Verify())
    assert [job.error for job in library.ended("in", "out", "whole")] == ["", "", ""]
    assert "short-lived" not in ids(library)
    assert "short-lived" not in FeatureStore.open(features_directory(library.collection))
    assert not any(part.deleted for part in versions.read(library.collection).parts)


def test_refusals(library: Library, home: Path) -> None:
    library.submit(request_id="unknown", delete=DeleteVideos(video_ids=["built-0x", "built-1"]))
    library.submit(request_id="absent", add=AddVideos(paths=[str(home / "nowhere.mp4")]))
    unknown, absent = library.ended("unknown", "absent")
    assert unknown.reason == "VIDEO_NOT_FOUND"
    assert "built-0" in unknown.error
    assert {"built-0", "built-1"} <= set(ids(library))
    assert absent.state == Job.STATE_FAILED
    assert "nowhere.mp4" in absent.error
    for wrong in (
        {},
        {"add": AddVideos()},
        {"add": AddVideos(paths=["relative.mp4"])},
        {"request_id": "absent", "add": AddVideos(paths=["/else.mp4"])},
        {"delete": DeleteVideos()},
    ):
        with pytest.raises(grpc.RpcError) as refused:
            library.submit(**wrong)
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    with pytest.raises(grpc.RpcError) as refused:
        library.submit(collection="other", compact=Compact())
    assert refused.value.code() is grpc.StatusCode.NOT_FOUND


def test_what_another_process_stands_in_the_way_of_waits(library: Library, home: Path) -> None:
    path = clip(home / "more" / "patient.mp4")
    with only_writer(library.collection, "build"):
        library.submit(request_id="patient", add=AddVideos(paths=[str(path)]))
        library.submit(request_id="patient out", delete=DeleteVideos(video_ids=["no such"]))
        until(lambda: library.jobs()["patient"].detail != "")
        job = library.jobs()["patient"]
        assert (job.state, job.detail[:29]) == (Job.STATE_QUEUED, "waits: another process writes")
    added, refused = library.ended("patient", "patient out")
    assert (added.error, list(added.video_ids)) == ("", ["patient"])
    # That it waited makes it no job that was done in part before.
    assert refused.reason == "VIDEO_NOT_FOUND"


def test_a_second_library_of_a_collection_is_refused(library: Library) -> None:
    second = Library(library.collection, "second.toml")
    line = second.start()
    assert (line["ready"], line["exit_code"]) == (False, 4)
    assert "another service adds to" in line["error"]
    assert second.process is not None
    apart.ended(second.process)


def test_whoever_watches_is_told_of_a_version_at_once(library: Library, home: Path) -> None:
    stream = library.stub.WatchCurrent(pb.WatchCurrentRequest(), timeout=120)
    before = next(stream)
    assert (before.collection, before.version) == ("c", versions.current(library.collection))
    path = clip(home / "more" / "watched.mp4")
    library.submit(request_id="watched", add=AddVideos(paths=[str(path)]))
    after = next(stream)
    assert after.version == library.ended("watched")[0].version
    stream.cancel()


def test_a_video_that_appears_in_a_watched_folder_is_added_when_it_is_complete(
    library: Library, home: Path
) -> None:
    whole = clip(home / "elsewhere" / "arrived.mp4").read_bytes()
    path = home / "inbox" / "arrived.mp4"
    with path.open("wb") as file:
        for start in range(0, len(whole), len(whole) // 3):
            file.write(whole[start : start + len(whole) // 3])
            file.flush()
            time.sleep(1.1)
    ends = time.monotonic() + 60
    while "arrived" not in ids(library):
        assert time.monotonic() < ends
        time.sleep(0.05)
    (job,) = [job for job in library.jobs().values() if job.request_id.startswith("watch-")]
    assert job.state == Job.STATE_DONE


def test_killed_between_acknowledge_and_done_nothing_is_lost_or_done_twice(
    library: Library, home: Path
) -> None:
    before = reasons(library).count("add")
    names = []
    for round_ in range(3):
        path = clip(home / "more" / f"killed-{round_}.mp4", 4.0 + round_)
        library.submit(request_id=f"add-{round_}", add=AddVideos(paths=[str(path)]))
        if round_:
            gone = f"killed-{round_ - 1}"
            library.submit(request_id=f"delete-{round_}", delete=DeleteVideos(video_ids=[gone]))
            names.append(f"delete-{round_}")
        names.append(f"add-{round_}")
        time.sleep(0.05 * round_)
        library.end(KILL)
        assert library.start()["ready"]
    jobs = library.ended(*names)
    assert [job.error for job in jobs] == [""] * len(jobs)
    assert [one for one in ids(library) if one.startswith("killed")] == ["killed-2"]
    # Adds may have been done together, never twice.
    assert 1 <= reasons(library).count("add") - before <= 3


def test_told_to_stop_it_ends_well_and_goes_on_later(library: Library, home: Path) -> None:
    paths = [str(clip(home / "many" / f"many-{n}.mp4", 20.0)) for n in range(3)]
    library.submit(request_id="many", add=AddVideos(paths=paths))
    time.sleep(0.1)
    assert library.end(TERM) == 0
    assert library.start()["ready"]
    (job,) = library.ended("many")
    assert len(job.video_ids) == 3
    assert {f"many-{n}" for n in range(3)} <= set(ids(library))
