"""VersionService of a real index worker: versions come and go while it answers."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest

from engine import faults
from engine.entries import Version
from spr.internal.v1 import index_shard_service_pb2 as index_pb
from spr.internal.v1 import version_service_pb2 as pb
from spr.internal.v1.index_shard_service_pb2_grpc import IndexShardServiceStub
from spr.internal.v1.version_service_pb2_grpc import VersionServiceStub
from tests.workers.index.asking import DIM, ONE, VIDEOS, ask, refusal, request
from tests.workers.index.corpora import commit, rows_of, without, write_part
from tests.workers.index.factories import pairs, template
from tests.workers.index.running import start, stop

NAMES = list(VIDEOS)
TRAINED = template(rows_of(VIDEOS)[0], "flat")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, grpc.Channel]]:
    """A worker of two collections, in the folders `collection` and `second`."""
    folder = tmp_path_factory.mktemp("preparing")
    entry = write_part(folder / "collection", VIDEOS, TRAINED, TRAINED)
    commit(folder / "collection", [[entry]], TRAINED, dim=DIM)
    few = {name: VIDEOS[name] for name in NAMES[:5]}
    other = write_part(folder / "second", few, TRAINED, TRAINED)
    commit(folder / "second", [[other]], TRAINED, dim=DIM, name="few")
    process, said = start(folder, "shard-00000", more='collections = ["second"]')
    assert set(said["versions"]) == {"tiny", "few"}
    with grpc.insecure_channel(said["address"]) as channel:
        yield folder, channel
    assert stop(process) == 0


def prepare(channel: grpc.Channel, collection: str, version: str) -> pb.PrepareVersionResponse:
    message = pb.PrepareVersionRequest(collection=collection, version=version)
    return VersionServiceStub(channel).PrepareVersion(message, timeout=300)


def drop(channel: grpc.Channel, version: str) -> None:
    VersionServiceStub(channel).DropVersion(pb.DropVersionRequest(version=version), timeout=300)


def held(channel: grpc.Channel) -> dict[str, pb.HeldVersion]:
    info = IndexShardServiceStub(channel).GetShardInfo(index_pb.GetShardInfoRequest(), timeout=300)
    return {one.version: one for one in info.held}


def deleted(folder: Path, gone: list[str]) -> Version:
    entry = write_part(folder / "collection", VIDEOS, TRAINED, TRAINED)
    return commit(folder / "collection", [[without(folder / "collection", entry, gone)]], TRAINED, dim=DIM)


def test_a_version_is_prepared_beside_the_old_and_the_old_is_dropped(
    served: tuple[Path, grpc.Channel],
) -> None:
    folder, channel = served
    old = request(folder, ONE, 200)
    # Other tests may have committed since the worker began.
    prepare(channel, "", old.generation)
    before = [pairs(hits) for hits in ask(channel, old)]
    version = deleted(folder, NAMES[:3])
    new = request(folder, ONE, 200)
    assert new.generation == version.id
    assert refusal(channel, new) == ("FAILED_PRECONDITION", "GENERATION_MISMATCH")
    done = prepare(channel, "", version.id)
    assert (done.parts_opened, done.parts_shared) == (0, 1)
    assert prepare(channel, "tiny", version.id).elapsed.ToTimedelta().total_seconds() == 0
    (hits,) = ask(channel, new)
    assert len(hits) == sum(len(VIDEOS[name]) for name in NAMES[3:])
    assert hits.videos.max() == len(NAMES) - 4
    assert [pairs(one) for one in ask(channel, old)] == before
    assert held(channel)[version.id].videos == len(NAMES) - 3
    for _ in range(2):
        drop(channel, old.generation)
    assert refusal(channel, old) == ("FAILED_PRECONDITION", "GENERATION_MISMATCH")
    assert old.generation not in held(channel)


def test_collections_are_told_apart(served: tuple[Path, grpc.Channel]) -> None:
    folder, channel = served
    few = next(one for one in held(channel).values() if one.collection == "few")
    assert (few.videos, few.parts) == (5, 1)
    message = request(folder, ONE, 200, generation=few.version)
    response = IndexShardServiceStub(channel).SearchSegments(message, timeout=300)
    assert response.videos_searched == 5


@pytest.mark.parametrize(
    ("collection", "version", "refused"),
    [
        ("nope", "", ("NOT_FOUND", "COLLECTION_NOT_FOUND")),
        ("few", "00000099-0123456789ab", ("NOT_FOUND", "GENERATION_NOT_FOUND")),
        ("", "../../etc", ("NOT_FOUND", "GENERATION_NOT_FOUND")),
    ],
)
def test_what_cannot_be_prepared_is_refused_with_a_reason(
    served: tuple[Path, grpc.Channel], collection: str, version: str, refused: tuple[str, str]
) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        prepare(served[1], collection, version)
    error: Any = caught.value
    assert (error.code().name, faults.reason_of(error)) == refused


def test_no_search_fails_while_versions_come_and_go(served: tuple[Path, grpc.Channel]) -> None:
    folder, channel = served
    version = deleted(folder, NAMES[5:7])
    prepare(channel, "", version.id)
    message = request(folder, ONE, 20)
    right = [pairs(hits) for hits in ask(channel, message)]
    with ThreadPoolExecutor(4) as pool:
        answers = [pool.submit(ask, channel, message) for _ in range(100)]
        for number in range(5):
            another = deleted(folder, NAMES[number : number + 1])
            prepare(channel, "", another.id)
            drop(channel, another.id)
        assert all([pairs(hits) for hits in answer.result()] == right for answer in answers)
