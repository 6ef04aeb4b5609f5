"""Jobs of the library process, through the admin service."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from engine import versions
from engine.errors import Mismatch
from spr.v1 import admin_service_pb2 as pb
from tests.engine.asking import search
from tests.engine.corpus import Corpus
from tests.engine.library import LibraryOracle, with_library
from tests.engine.oracle import Cluster, cluster
from tests.engine.switching import activated, failed, operated, status, until

Job = pb.Job


def adding(**fields: Any) -> pb.SubmitJobRequest:
    return pb.SubmitJobRequest(add=pb.AddVideos(paths=["/new"]), **fields)


async def listed(admin: Any, **fields: Any) -> list[Job]:
    return list((await admin.ListJobs(pb.ListJobsRequest(**fields))).jobs)


def test_without_a_library_a_job_is_refused_with_what_to_do(tmp_path: Path) -> None:
    async def run(workers: Cluster) -> Any:
        async with operated(workers) as (_, admin, __):
            return await failed(admin.SubmitJob(adding())), await failed(admin.ListJobs(pb.ListJobsRequest()))

    with cluster(tmp_path) as workers:
        for code, reason, message in asyncio.run(run(workers)):
            assert (code, reason) == ("UNAVAILABLE", "NO_LIBRARY")
            assert "write [library] into the topology" in message


def test_a_library_that_is_away_leaves_searches_alone_and_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def run(workers: Cluster) -> Any:
        async with operated(workers) as (stub, admin, _):
            # Whoever waits for a job asks again and again; the log has it once.
            for _ in range(3):
                await failed(admin.ListJobs(pb.ListJobsRequest()))
            return await failed(admin.SubmitJob(adding())), await search(stub), await status(admin)

    with cluster(tmp_path) as workers, with_library(workers):
        workers.kill(workers.topology.library.target)  # type: ignore[union-attr]
        (code, reason, message), answer, told = asyncio.run(run(workers))
    assert (code, reason) == ("UNAVAILABLE", "NO_LIBRARY")
    assert "spr admin status" in message
    assert caplog.text.count("the library is lost") == 1
    assert not answer.coverage.degraded
    (library,) = [worker for worker in told.workers if worker.role == pb.Worker.ROLE_LIBRARY]
    assert (library.name, library.state) == ("library", pb.Worker.STATE_UNREACHABLE)
    assert "failed to connect" in library.last_error


def test_a_job_is_handed_over_with_the_collections_name(tmp_path: Path) -> None:
    async def run(workers: Cluster) -> Any:
        async with operated(workers) as (_, admin, __):
            submitted = await admin.SubmitJob(adding(request_id="mine"))
            unknown = await failed(admin.SubmitJob(adding(collection="films")))
            empty = await failed(admin.SubmitJob(pb.SubmitJobRequest()))
            return submitted.job, unknown, empty, await listed(admin)

    with cluster(tmp_path) as workers, with_library(workers):
        job, unknown, empty, jobs = asyncio.run(run(workers))
    assert (job.request_id, job.collection, job.kind) == ("mine", "default", "add")
    assert unknown[:2] == ("NOT_FOUND", "COLLECTION_NOT_FOUND")
    assert empty[0] == "INVALID_ARGUMENT"
    assert jobs == [job]


def test_what_the_library_refuses_is_passed_on(tmp_path: Path) -> None:
    async def run(workers: Cluster) -> Any:
        async with operated(workers) as (_, admin, __):
            return await failed(admin.SubmitJob(adding()))

    with cluster(tmp_path) as workers, with_library(workers) as library:
        library.full = True
        code, reason, message = asyncio.run(run(workers))
    assert (code, reason) == ("RESOURCE_EXHAUSTED", "QUEUE_FULL")
    assert "3 jobs wait" in message


def test_the_library_s_news_begin_a_switch_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.switching.POLL", 1e6)

    async def run(workers: Cluster, library: LibraryOracle) -> None:
        async with operated(workers) as (_, __, running):
            second = workers.write(Corpus(videos=15, seed=1))
            library.changed.set()
            await until(lambda: running.collections.first.active_id == second.version)

    with cluster(tmp_path) as workers, with_library(workers) as library:
        asyncio.run(run(workers, library))


def test_a_job_is_searchable_while_what_is_served_descends_from_its_version(tmp_path: Path) -> None:
    """A rollback takes it back, also where later versions have higher numbers."""

    async def run(workers: Cluster, library: LibraryOracle) -> list[bool]:
        second = workers.write(Corpus(videos=13, seed=1), activate=False)
        other = workers.write(Corpus(videos=14, seed=1), activate=False)  # also of the first
        third = Corpus(videos=15, seed=1)
        third.write(workers.topology.collection, second.version, activate=False)
        workers.library[third.version] = third
        library.jobs = [
            Job(request_id="j", collection="default", state=Job.STATE_DONE, version=second.version)
        ]
        found = []
        async with operated(workers) as (_, admin, __):
            found.append((await listed(admin))[0].searchable)
            for version in (second, third, other, workers.corpus):
                await activated(admin, version.version)
                found.append((await listed(admin, request_id="j"))[0].searchable)
        return found

    with cluster(tmp_path) as workers, with_library(workers) as library:
        assert asyncio.run(run(workers, library)) == [False, True, True, False, False]
        assert versions.newest(workers.topology.collection) == workers.corpus.version


def test_a_job_whose_version_no_worker_can_serve_says_so(tmp_path: Path) -> None:
    async def run(workers: Cluster, library: LibraryOracle) -> Job:
        async with operated(workers) as (_, admin, running):
            second = workers.write(Corpus(videos=13, seed=1), activate=False)
            workers.rankers[0].refusing[second.version] = Mismatch("a model is damaged", "GENERATION_CORRUPT")
            versions.activate(workers.topology.collection, second.version)
            library.jobs = [
                Job(request_id="j", collection="default", state=Job.STATE_DONE, version=second.version)
            ]
            await until(lambda: running.collections.first.fault)
            return (await listed(admin))[0]

    with cluster(tmp_path) as workers, with_library(workers) as library:
        job = asyncio.run(run(workers, library))
    assert not job.searchable
    (warning,) = job.warnings
    assert warning.startswith("not searched: version ")
    assert "a model is damaged" in warning
