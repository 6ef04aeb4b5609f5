"""What is said, sought in a running index worker."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from engine import wire, wire_texts
from engine.corpus import open_corpus
from engine.errors import Mismatch
from engine.texts import MEANING, SAID, WORDS, WRITTEN, ListName, TextsSought
from spr.internal.v1 import index_shard_service_pb2 as pb
from spr.internal.v1.index_shard_service_pb2_grpc import IndexShardServiceStub
from spr.v1 import types_pb2
from tests.trainer.library.living import copied
from tests.workers.index.asking import DIM, ONE, VIDEOS, ask, refusal, request
from tests.workers.index.corpora import rows_of
from tests.workers.index.running import start, stop
from tests.workers.index.spoken import question
from workers.index.shard import ShardOpener

QUERY = rows_of(VIDEOS)[0][7]
BOTH = (types_pb2.CHANNEL_SAID, types_pb2.CHANNEL_WRITTEN)


@pytest.fixture(scope="module")
def worker(folder: Path) -> Iterator[grpc.Channel]:
    process, ready = start(folder, "shard-00000")
    with grpc.insecure_channel(ready["address"]) as channel:
        yield channel
    assert stop(process) == 0


def sought(**changes: Any) -> pb.TextQuery:
    fields = {"channels": (SAID, WRITTEN), "text": question(QUERY), "sentence": QUERY, **changes}
    return wire_texts.sought_to_pb(TextsSought(**fields))


def texts_alone(folder: Path, texts: pb.TextQuery, **changes: Any) -> pb.SearchSegmentsRequest:
    message = request(folder, ONE, texts=texts, **changes)
    message.ClearField("queries")
    return message


def test_texts_are_found_beside_pictures_and_alone_as_the_shard_finds_them(
    folder: Path, worker: grpc.Channel
) -> None:
    shard = ShardOpener("shard-00000", "cpu")(open_corpus(folder / "collection"))
    expected = shard.search_texts(TextsSought((SAID, WRITTEN), question(QUERY), QUERY), 5)
    assert [found.name for found in expected] == [ListName(SAID, WORDS), ListName(SAID, MEANING)]
    assert all(len(found.hits) == 5 for found in expected)
    stub = IndexShardServiceStub(worker)
    for message in (request(folder, QUERY[None], texts=sought()), texts_alone(folder, sought())):
        response = stub.SearchSegments(message, timeout=300)
        assert response.texts == wire_texts.hits_to_pb(expected)
        pictures = wire.hits_from_pb(response, len(VIDEOS))
        assert len(pictures) == (1 if message.HasField("queries") else 0)
    (seen,) = ask(worker, request(folder, QUERY[None]))
    np.testing.assert_array_equal(
        wire.hits_from_pb(stub.SearchSegments(request(folder, QUERY[None], texts=sought())), 30)[0].scores,
        seen.scores,
    )


@pytest.mark.parametrize(
    ("changes", "lists"),
    [
        ({"text": ""}, [MEANING]),
        ({"sentence": None}, [WORDS]),
        ({"channels": (WRITTEN,)}, []),
        ({"text": "", "sentence": None}, []),
    ],
)
def test_only_what_is_asked_and_there_is_answered(
    folder: Path, worker: grpc.Channel, changes: dict[str, Any], lists: list[str]
) -> None:
    response = IndexShardServiceStub(worker).SearchSegments(
        texts_alone(folder, sought(**changes)), timeout=300
    )
    found = wire_texts.hits_from_pb(response.texts, BOTH, len(VIDEOS))
    assert [one.name.method for one in found] == lists


@pytest.mark.parametrize(
    ("message", "changes", "reason"),
    [
        (pb.TextQuery(channels=[types_pb2.CHANNEL_SEEN], text="a"), {}, "BAD_PARAMETER"),
        (pb.TextQuery(channels=[9], text="a"), {}, "BAD_PARAMETER"),  # type: ignore[list-item]
        (pb.TextQuery(text="a"), {}, "BAD_PARAMETER"),
        (sought(text="a" * 1001), {}, "BAD_PARAMETER"),
        (sought(sentence=np.ones(DIM + 1, np.float32)), {}, "TENSOR_SIZE_MISMATCH"),
        (sought(sentence=np.full(DIM, np.nan, np.float32)), {}, "BAD_PARAMETER"),
        (sought(), {"top_k": 0}, "BAD_PARAMETER"),
        (sought(), {"top_k": 1 << 20}, "BAD_PARAMETER"),
    ],
)
def test_wrong_texts_are_refused_with_a_reason(
    folder: Path, worker: grpc.Channel, message: pb.TextQuery, changes: dict[str, Any], reason: str
) -> None:
    assert refusal(worker, texts_alone(folder, message, **changes)) == ("INVALID_ARGUMENT", reason)


def test_texts_are_sought_beside_one_query_at_most(folder: Path, worker: grpc.Channel) -> None:
    two = np.concatenate([ONE, ONE])
    assert refusal(worker, request(folder, two, texts=sought())) == ("INVALID_ARGUMENT", "BAD_PARAMETER")


@pytest.mark.parametrize("name", ["words/shares.npy", "words/words.txt", "index.faiss", "texts.json"])
def test_a_damaged_file_of_texts_is_named_and_not_served(folder: Path, tmp_path: Path, name: str) -> None:
    path = copied(folder / "collection", tmp_path / "c")
    damaged = open_corpus(path).parts[0].directory / "said" / name
    content = bytearray(damaged.read_bytes())
    damaged.unlink()
    content[-1] ^= 1
    damaged.write_bytes(content)
    with pytest.raises(Mismatch, match=name):
        ShardOpener("shard-00000", "cpu")(open_corpus(path))
