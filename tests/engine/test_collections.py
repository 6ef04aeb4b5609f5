"""Several collections on the same workers."""

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc
import pytest

from engine import versions
from engine.errors import InvalidInput, Mismatch, NotFound
from engine.served import Collections, ServedCollection
from spr.v1 import admin_service_pb2 as admin_pb
from spr.v1 import search_service_pb2 as pb
from tests.engine.asking import TEXT, by_hand, request, rounded, rows, search
from tests.engine.corpus import Corpus
from tests.engine.oracle import Cluster, cluster
from tests.engine.running import ask
from tests.engine.switching import activated, failed, operated, status, until


def lectures(**changes: Any) -> Corpus:
    return Corpus(**{"videos": 7, "shards": 1, "seed": 5, "prefix": "lecture", "name": "lectures", **changes})


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.switching.POLL", 0.05)
    monkeypatch.setattr("engine.served.LINGER", 0.0)


def test_a_search_names_its_collection_and_the_first_is_meant_without_a_name(tmp_path: Path) -> None:
    async def run(stub: Any) -> list[pb.SearchResponse]:
        return [await search(stub, collection=name) for name in ("", "default", "lectures")]

    with cluster(tmp_path, others=[lectures()]) as workers:
        first, named, second = ask(workers, run)
        wanted = {one.name: rounded(by_hand(one, TEXT)) for one in workers.library.values()}
    assert rounded(rows(first)) == rounded(rows(named)) == wanted["default"]
    assert rounded(rows(second)) == wanted["lectures"]
    assert second.versions.collection == "lectures"
    # It lies in fewer shards than there are workers.
    assert (second.coverage.shards_total, second.coverage.ratio) == (1, 1.0)


def test_an_unknown_collection_is_not_found_and_the_others_are_named(tmp_path: Path) -> None:
    async def run(workers: Cluster) -> Any:
        async with operated(workers) as (stub, admin, _):
            asked = admin_pb.ListVersionsRequest(collection="films")
            return await failed(search(stub, collection="films")), await failed(admin.ListVersions(asked))

    with cluster(tmp_path, others=[lectures()]) as workers:
        for code, reason, message in asyncio.run(run(workers)):
            assert (code, reason) == ("NOT_FOUND", "COLLECTION_NOT_FOUND")
            assert "these are: 'default', 'lectures'" in message


def test_a_name_is_known_in_any_unicode_form(tmp_path: Path) -> None:
    served = Collections([ServedCollection(tmp_path / "u\u0308ber", 1), ServedCollection(tmp_path / "b", 1)])
    assert served.named("\u00fcber") is served.named("u\u0308ber") is served.all[0]
    assert served.named("b") is served.all[1]
    with pytest.raises(NotFound, match="is not served here"):
        served.named("uber")


def test_a_page_is_asked_for_by_a_name_in_any_unicode_form(tmp_path: Path) -> None:
    async def run(stub: Any) -> str:
        page = await stub.Search(request(page_size=2, collection="u\u0308ber"))
        token = page.next_page_token
        asked = pb.SearchRequest(page_token=token, collection="u\u0308ber")
        return str((await stub.Search(asked)).versions.collection)

    with cluster(tmp_path, others=[lectures(name="\u00fcber")]) as workers:
        assert ask(workers, run) == "\u00fcber"


def test_a_version_with_the_name_of_another_collection_in_any_form_is_refused(tmp_path: Path) -> None:
    served = Collections([ServedCollection(tmp_path / "u\u0308ber", 1), ServedCollection(tmp_path / "b", 1)])
    version: Any = SimpleNamespace(
        corpus=SimpleNamespace(version=SimpleNamespace(id="1", collection="\u00fcber"))
    )
    served.all[0].check_name(version)
    with pytest.raises(Mismatch, match="as another collection that is served here"):
        served.all[1].check_name(version)


def test_each_collection_switches_by_itself(tmp_path: Path) -> None:
    async def run(workers: Cluster) -> Any:
        (directory,) = workers.topology.collections
        second = lectures(videos=9)
        second.write(directory, activate=False)
        workers.library[second.version] = second
        async with operated(workers) as (stub, admin, _):
            done = await activated(admin, "2", collection="lectures")
            answers = [await search(stub, collection=name) for name in ("default", "lectures")]
            listed = await admin.ListCollections(admin_pb.ListCollectionsRequest())
            return done, answers, listed.collections, await status(admin, collection="lectures")

    with cluster(tmp_path, others=[lectures()]) as workers:
        done, (first, second), listed, told = asyncio.run(run(workers))
    assert first.versions.generation == workers.corpus.version
    assert second.versions.generation == done.version == told.collection.generation
    assert [(one.name, one.videos) for one in listed] == [("default", 12), ("lectures", 9)]
    assert (told.searches_answered, told.collection.parts) == (1, 1)


def test_a_full_collection_leaves_the_other_its_places(tmp_path: Path) -> None:
    async def run(workers: Cluster) -> Any:
        encoding = workers.rankers[0].encoding
        async with operated(workers) as (stub, _, __):
            await search(stub, collection="lectures")  # from now on it needs no encoder
            encoding.open.clear()
            inside = [asyncio.ensure_future(search(stub, text=f"{TEXT} {i}")) for i in range(2)]
            await until(lambda: encoding.waiting == 2)
            refusal = await failed(search(stub, text="another"))
            other = await search(stub, collection="lectures")
            encoding.open.set()
            await asyncio.gather(*inside)
            return refusal, other

    with cluster(tmp_path, others=[lectures()], max_in_flight=2) as workers:
        refusal, other = asyncio.run(run(workers))
    assert refusal[:2] == ("RESOURCE_EXHAUSTED", "QUEUE_FULL")
    assert other.moments


def test_a_page_token_is_of_its_collection(tmp_path: Path) -> None:
    async def run(stub: Any) -> Any:
        page = await stub.Search(request(page_size=2, collection="lectures"))
        token = page.next_page_token
        unnamed = await stub.Search(pb.SearchRequest(page_token=token))
        return unnamed, await failed(stub.Search(pb.SearchRequest(page_token=token, collection="default")))

    with cluster(tmp_path, others=[lectures()]) as workers:
        unnamed, refusal = ask(workers, run)
    assert unnamed.versions.collection == "lectures"
    assert refusal[:2] == ("INVALID_ARGUMENT", "PAGE_TOKEN_INVALID")


def test_a_collection_without_a_version_is_served_once_it_has_one(tmp_path: Path) -> None:
    async def run(workers: Cluster) -> Any:
        (directory,) = workers.topology.collections
        async with operated(workers) as (stub, _, running):
            before = await failed(search(stub, collection="lectures"))
            versions.activate(directory, versions.resolve(directory, "1"))
            await until(lambda: running.collections.named("lectures").active)
            return before, await search(stub, collection="lectures")

    with cluster(tmp_path, others=[lectures()]) as workers:
        (workers.topology.collections[0] / "CURRENT").unlink()
        (code, reason, message), after = asyncio.run(run(workers))
    assert (code, reason) == ("NOT_FOUND", "GENERATION_NOT_FOUND")
    assert "has no active version: run `spr build" in message
    assert after.moments


def test_two_collections_of_one_name_do_not_start(tmp_path: Path) -> None:
    with cluster(tmp_path, others=[lectures(name="other")]) as workers:
        lectures(name="default").write(workers.topology.collections[0])
        with pytest.raises(InvalidInput, match="two collections of the topology are named 'default'") as told:
            ask(workers, search)
    assert all(str(directory) in str(told.value) for directory in workers.topology.directories)


def test_a_version_with_the_name_of_another_collection_is_refused(tmp_path: Path) -> None:
    async def run(workers: Cluster) -> Any:
        lectures(name="default", videos=9).write(workers.topology.collections[0], activate=False)
        async with operated(workers) as (stub, admin, _):
            asked = admin_pb.ActivateVersionRequest(version="2", collection="lectures")
            return await failed(admin.ActivateVersion(asked)), await search(stub, collection="lectures")

    with cluster(tmp_path, others=[lectures()]) as workers:
        (code, reason, message), answer = asyncio.run(run(workers))
    assert (code, reason) == ("FAILED_PRECONDITION", "NOT_PREPARED")
    assert "is called 'default', as another collection that is served here" in message
    assert answer.moments


def test_a_batch_may_ask_several_collections(tmp_path: Path) -> None:
    asked = pb.BatchSearchRequest(
        requests=[request(collection=name) for name in ("default", "lectures", "films")]
    )
    with cluster(tmp_path, others=[lectures()]) as workers:
        entries = ask(workers, lambda stub: stub.BatchSearch(asked)).entries
    assert [entry.response.versions.collection for entry in entries] == ["default", "lectures", ""]
    assert entries[2].status.code == grpc.StatusCode.NOT_FOUND.value[0]
