"""A collection goes from one version to another while it is searched."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from engine import versions
from engine.errors import Mismatch, Unavailable
from spr.v1 import search_service_pb2 as pb
from tests.engine.asking import TEXT, by_hand, request, rounded, rows, search
from tests.engine.corpus import Corpus
from tests.engine.oracle import Cluster, cluster
from tests.engine.running import ask
from tests.engine.switching import activated, failed, operated, status, until


def later(**changes: Any) -> Corpus:
    return Corpus(**{"videos": 15, "seed": 1, **changes})


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.switching.POLL", 0.05)
    monkeypatch.setattr("engine.monitor.INTERVAL", 0.05)
    monkeypatch.setattr("engine.served.LINGER", 0.0)


def holds(workers: Cluster, corpus: Corpus) -> list[bool]:
    return [corpus.version in worker.versions for worker in workers.workers]


def test_a_switch_under_load_loses_no_query_and_mixes_no_answers(tmp_path: Path) -> None:
    async def run(workers: Cluster) -> list[pb.SearchResponse]:
        async with operated(workers) as (stub, _, running):
            answers: list[pb.SearchResponse] = []
            second = later()

            async def load(who: int) -> None:
                while not (answers and answers[-1].versions.generation == second.version):
                    answers.append(await search(stub, text=f"{TEXT} {who % 3}"))

            loads = [asyncio.create_task(load(who)) for who in range(8)]
            await until(lambda: len(answers) > 16)
            workers.write(second)
            await asyncio.gather(*loads)
            await until(lambda: list(running.collections.first.versions) == [second.version])
            await until(lambda: not any(holds(workers, workers.corpus)))
            return answers

    with cluster(tmp_path, replicas=2, rankers=2) as workers:
        answers = asyncio.run(run(workers))
    corpora = {one.version: one for one in workers.library.values()}
    texts = [f"{TEXT} {who}" for who in range(3)]
    wanted = {v: [rounded(by_hand(one, text)) for text in texts] for v, one in corpora.items()}
    assert {answer.versions.generation for answer in answers} == set(corpora)
    for answer in answers:
        assert not answer.coverage.degraded
        assert rounded(rows(answer)) in wanted[answer.versions.generation]


def test_a_query_in_flight_ends_on_the_version_it_began_with(tmp_path: Path) -> None:
    async def run(workers: Cluster) -> pb.SearchResponse:
        judge, second = workers.rankers[0], later()
        async with operated(workers) as (stub, admin, _):
            judge.ranking.open.clear()
            asked = asyncio.ensure_future(search(stub))
            await until(lambda: judge.ranking.calls)
            await activated(admin, workers.write(second, activate=False).version)
            assert all(holds(workers, workers.corpus))
            judge.ranking.open.set()
            answer = await asked
            await until(lambda: not any(holds(workers, workers.corpus)))
            return answer

    with cluster(tmp_path) as workers:
        answer = asyncio.run(run(workers))
    assert answer.versions.generation == workers.corpus.version
    assert rounded(rows(answer)) == rounded(by_hand(workers.corpus, TEXT))
    assert not answer.coverage.degraded


def test_the_pages_of_a_list_stay_as_they_are_across_a_switch(tmp_path: Path) -> None:
    async def run(workers: Cluster) -> tuple[list[Any], pb.SearchResponse]:
        async with operated(workers) as (stub, admin, running):
            page = await stub.Search(request(page_size=2))
            found = rows(page)
            second = workers.write(later(prefix="clip"), activate=False)
            await activated(admin, second.version)
            await until(lambda: list(running.collections.first.versions) == [second.version])
            while page.next_page_token:
                page = await stub.Search(pb.SearchRequest(page_token=page.next_page_token, page_size=100))
                assert page.versions.generation == workers.corpus.version
                found += rows(page)
            return found, await search(stub)

    with cluster(tmp_path) as workers:
        found, after = asyncio.run(run(workers))
    assert rounded(found) == rounded(by_hand(workers.corpus, TEXT))
    assert after.moments[0].video_id.startswith("clip-")


def test_a_replica_that_cannot_prepare_is_left_out_and_told(tmp_path: Path) -> None:
    async def run(workers: Cluster) -> Any:
        second = workers.write(later(), activate=False)
        bad = workers.shards[0][1]
        bad.refusing[second.version] = Unavailable("it needs 3 MB more memory", "NO_MEMORY")
        async with operated(workers) as (stub, admin, running):
            done = await activated(admin, "2")
            await until(lambda: list(running.collections.first.versions) == [second.version])
            answers = [await search(stub, text=f"{TEXT} {i}") for i in range(8)]
            return done, answers, await status(admin)

    with cluster(tmp_path, replicas=2) as workers:
        done, answers, told = asyncio.run(run(workers))
    (left_out,) = done.left_out
    target = workers.topology.index[1].target
    assert (left_out.worker, left_out.target) == ("shard-00000", target)
    assert left_out.why == "it needs 3 MB more memory"
    assert {answer.versions.generation for answer in answers} == {done.version}
    assert not any(answer.coverage.degraded for answer in answers)
    (shown,) = [worker for worker in told.workers if worker.target == target]
    assert shown.state == shown.STATE_NOT_SERVING
    assert shown.last_error == f"cannot prepare version {done.version}: it needs 3 MB more memory"
    assert (told.collection.generation, told.collection.fault) == (done.version, "")


def test_without_a_ready_replica_the_old_version_stays_and_says_why(tmp_path: Path) -> None:
    async def run(workers: Cluster) -> Any:
        second = later()
        async with operated(workers) as (stub, admin, running):
            workers.write(second, activate=False)
            for worker in workers.shards[1]:
                worker.refusing[second.version] = Mismatch("index.faiss is damaged", "GENERATION_CORRUPT")
            refusal = await failed(activated(admin, second.version))
            assert versions.newest(workers.topology.collection) == workers.corpus.version
            # Said by the file, the reason is told to the operator.
            versions.activate(workers.topology.collection, second.version)
            await until(lambda: running.collections.first.fault)
            told, answer = await status(admin), await search(stub)
            # Repaired, it is switched to.
            for worker in workers.shards[1]:
                worker.refusing.clear()
            await until(lambda: running.collections.first.active_id == second.version)
            return refusal, told.collection, answer, (await status(admin)).collection

    with cluster(tmp_path, replicas=2) as workers:
        (code, reason, message), told, answer, after = asyncio.run(run(workers))
    first = workers.corpus.version
    assert (code, reason) == ("FAILED_PRECONDITION", "NOT_PREPARED")
    assert "was not prepared by any worker of shard-00001 (shard-00001 at" in message
    assert f"index.faiss is damaged); version {first} stays active" in message
    assert (told.generation, told.newest_generation) == (first, after.generation)
    assert "index.faiss is damaged" in told.fault
    assert answer.versions.generation == first
    assert not answer.coverage.degraded
    assert after.fault == ""


def test_a_version_of_more_shards_than_there_are_workers_is_refused_with_what_to_write(
    tmp_path: Path,
) -> None:
    async def run(workers: Cluster) -> Any:
        async with operated(workers) as (_, admin, __):
            return await failed(activated(admin, workers.write(later(shards=3), activate=False).version))

    with cluster(tmp_path) as workers:
        code, _, message = asyncio.run(run(workers))
    assert code == "INVALID_ARGUMENT"
    assert "has shard-00000, shard-00001, shard-00002" in message
    assert "write one [[index]] or more for each shard" in message


def test_a_prepared_version_is_searched_by_name_and_answers_for_itself(tmp_path: Path) -> None:
    async def run(workers: Cluster) -> Any:
        second = workers.write(later(), activate=False)
        async with operated(workers) as (stub, admin, _):
            unknown = await failed(search(stub, version=second.version))
            done = await activated(admin, "2", prepare_only=True)
            named = [await search(stub, version=name) for name in (second.version, "2")]
            return unknown, done, named, await search(stub)

    with cluster(tmp_path) as workers:
        unknown, done, named, active = asyncio.run(run(workers))
    second = workers.library[done.version]
    assert unknown[:2] == ("NOT_FOUND", "GENERATION_NOT_FOUND")
    assert "is not prepared; these are: 1" in unknown[2]
    assert done.previous == active.versions.generation == workers.corpus.version
    for answer in named:
        assert rounded(rows(answer)) == rounded(by_hand(second, TEXT))


def test_a_rollback_survives_the_coordinator_and_is_not_undone(tmp_path: Path) -> None:
    with cluster(tmp_path) as workers:
        first, second = workers.corpus.version, workers.write(later()).version

        async def back() -> Any:
            async with operated(workers) as (_, admin, running):
                done = await activated(admin, roll_back=True)
                # The watcher has looked again and again meanwhile.
                await until(lambda: list(running.collections.first.versions) == [first])
                again = await failed(activated(admin, roll_back=True))
                return done, again, await admin_versions(admin)

        done, again, listed = asyncio.run(back())
        assert (done.version, done.previous) == (first, second)
        assert (again[0], "made from no other version" in again[2]) == ("INVALID_ARGUMENT", True)
        assert [(one.id, one.active, one.current, one.parent) for one in listed] == [
            (second, False, False, first),
            (first, True, True, ""),
        ]
        assert ask(workers, search).versions.generation == first


async def admin_versions(admin: Any) -> Any:
    from spr.v1 import admin_service_pb2 as admin_pb

    return (await admin.ListVersions(admin_pb.ListVersionsRequest())).versions


def test_sentences_are_encoded_once_for_all_versions_of_a_model(tmp_path: Path) -> None:
    async def run(workers: Cluster) -> int:
        async with operated(workers) as (stub, admin, _):
            await search(stub)
            await activated(admin, workers.write(later(), activate=False).version)
            await search(stub)
            return workers.rankers[0].encoding.calls

    with cluster(tmp_path) as workers:
        assert asyncio.run(run(workers)) == 1
