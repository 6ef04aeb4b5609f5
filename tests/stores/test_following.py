"""A coordinator and an index worker over a collection in a store."""

import asyncio
import dataclasses
import threading
from pathlib import Path

import pytest

from engine import config, mirror
from engine.config import Topology
from engine.errors import InvalidInput
from engine.mirrored import sources_of
from engine.sources import Wants
from spr.v1 import search_service_pb2 as pb
from tests.engine.corpus import Corpus
from tests.engine.oracle import Cluster, cluster
from tests.engine.running import coordinator
from tests.engine.switching import activated, operated, until
from tests.stores.server import Store
from tests.workers.holding import answers, entries, holding, made
from trainer.library.snapshot import snapshot
from workers.index import lexicon
from workers.index.shard import ShardOpener
from workers.versions import Held

FRONT = '[[index]]\nshard = 0\nlisten = "h:1"\n[[ranker]]\nlisten = "h:2"\n'


def topology(path: Path, url: str, more: str = FRONT) -> Topology:
    path.write_text(f'collection = "{url}"\ncache = "cache"\n{more}')
    return config.read(path)


def test_a_topology_names_a_store_and_survives_the_pipe(tmp_path: Path) -> None:
    read = topology(tmp_path / "t.toml", "s3://films/c/", f'collections = ["d", "gs://b/e"]\n{FRONT}')
    assert [str(one.relative_to(tmp_path)).partition("-")[0] for one in read.directories] == [
        "cache/c",
        "d",
        "cache/e",
    ]
    assert sorted(read.urls.values()) == ["gs://b/e", "s3://films/c"]
    again = config.from_json(config.to_json(read))
    assert (again.directories, again.urls, again.cache) == (read.directories, read.urls, read.cache)
    made = config.for_collection("s3://films/c", 1, 7400)
    assert (made.library, list(made.urls.values())) == (None, ["s3://films/c"])


@pytest.mark.parametrize(
    ("url", "more", "says"),
    [
        (
            "s3://films/c",
            f'{FRONT}[library]\nlisten = "h:3"\n',
            "a service adds nothing to s3://films/c; remove",
        ),
        ("ftp://films/c", FRONT, "ftp://films/c is no fsspec URL that is known here: use s3://"),
        ("s3://me:hush@films/c", FRONT, "s3://films/c may hold no name, password or query"),
    ],
)
def test_what_no_service_can_serve_is_refused(tmp_path: Path, url: str, more: str, says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        topology(tmp_path / "t.toml", url, more)


def test_a_coordinator_follows_a_store(
    store: Store, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mirror, "POLL", 0.02)
    with cluster(tmp_path, Corpus()) as workers:
        asyncio.run(_follow(workers, store, url, tmp_path / "mirror"))
    for thread in threading.enumerate():
        if thread.name == "mirror":
            thread.join(60)
            assert not thread.is_alive()  # a store is followed as long as the service runs


async def _follow(workers: Cluster, store: Store, url: str, home: Path) -> None:
    made, first = workers.topology.collection, workers.corpus
    await asyncio.to_thread(snapshot, made, url)
    workers.topology = dataclasses.replace(workers.topology, collection=home, urls={home: url})
    async with operated(workers) as (stub, admin, running):
        request = pb.SearchRequest(text="a red ball")
        assert (await stub.Search(request)).versions.generation == first.version
        second = Corpus(seed=1)
        second.write(made, first.version)
        workers.library[second.version] = second
        with store.away():
            assert (await stub.Search(request)).versions.generation == first.version
        await asyncio.to_thread(snapshot, made, url)
        await until(lambda: running.collections.first.active_id == second.version)
        assert (await stub.Search(request)).versions.generation == second.version
        # A rollback is one of all who serve the collection.
        await activated(admin, "1")
    with store.away():
        async with coordinator(workers) as (_, again):
            assert again.collections.first.active_id == first.version


def test_a_worker_answers_from_a_store_as_from_a_directory(store: Store, url: str, tmp_path: Path) -> None:
    home = tmp_path / "made"
    home.mkdir()
    (home / "collection.json").write_text('{"name": "tiny", "format": 1}')
    version = made(home, entries(home))
    snapshot(home, url)
    read = topology(tmp_path / "t.toml", url)
    sources = sources_of(read, Wants(("index/",), ["shard-00000"], lexicon.files_of))
    held = Held(read.directories, ShardOpener("shard-00000", "cpu"), sources)
    held.prepare_current()
    assert answers(held, version) == answers(holding(home), version)
    for path in read.collection.rglob("*.faiss"):
        content = path.read_bytes()
        path.write_bytes(b"x" + content[1:])
    held.look()
    assert (held.sound, answers(held, version)) == (True, answers(holding(home), version))
