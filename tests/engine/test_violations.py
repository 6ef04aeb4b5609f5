"""Every field of every public request with a wrong value: the answer names that field."""

import asyncio
import math
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import numpy as np
import pytest
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.rpc import error_details_pb2

from spr.v1 import admin_service_pb2, search_service_pb2
from spr.v1.admin_service_pb2_grpc import AdminServiceStub
from tests.engine.asking import TEXT, embedding_of
from tests.engine.corpus import DIM
from tests.engine.library import serve
from tests.engine.oracle import cluster
from tests.engine.running import coordinator, details
from trainer.library.jobs import Queue
from trainer.library.roots import Roots
from trainer.library.service import LibraryServicer

# What is named but not there: NOT_FOUND, or a model that does not fit, or a job that fails.
NAMED = object()
ANY = object()  # every value is right

TIMES = [f"clip.span.{which}_offset.{unit}" for which in ("start", "end") for unit in ("seconds", "nanos")]
EXAMPLE = ("image", "clip.video_id", *TIMES, "name")
SEARCH: Mapping[str, Any] = {
    "collection": NAMED,
    "request_id": "x" * 65,
    "text": " ",
    "embedding.tensor.dtype": 77,
    "embedding.tensor.shape": [DIM, 1],
    "embedding.tensor.data": b"abc",
    "embedding.model_id": NAMED,
    "composed.parts.text": " ",
    # Examples are refused as a whole: test_composed.py.
    **{f"composed.parts.examples.{name}": ANY for name in EXAMPLE},
    "composed.parts.not_texts": [""],
    "composed.parts.example_weight": ANY,
    **{f"composed.within.{unit}": -1 for unit in ("seconds", "nanos")},
    "page_size": -1,
    "page_token": "nonsense",
    "params.segment_top_k": 2001,
    "params.proposal_top_k": 0,
    "params.nprobe": 0,
    "params.rerank": ANY,
    "params.nms_iou": 1.5,
    "params.min_coverage": math.nan,
    "params.proposal_rule.constant_gap": 0,
    "params.proposal_rule.adaptive_gap": 2.0,
    "params.proposal_rule.adjacent": ANY,
    "params.proposal_rule.peaks": 101,
    "params.per_video": 0,
    "params.group_by": 77,
    "params.facets": ANY,
    "params.merge_duplicates": ANY,
    "params.channels": [77],
    "version": NAMED,
    "filter.video_ids": [""],
    "filter.any_labels": ["x"] * 101,
    "filter.all_labels": [""],
    "filter.no_labels": ["x"] * 101,
    "filter.folder": "x" * 1001,
    "filter.from_date.seconds": 2**60,
    "filter.from_date.nanos": -1,
    "filter.before_date.seconds": -(2**60),
    "filter.before_date.nanos": 10**9,
    "filter.min_duration.seconds": -1,
    "filter.min_duration.nanos": -1,
    "filter.max_duration.seconds": 2**60,
    "filter.max_duration.nanos": 10**9,
    "filter.span.start_offset.seconds": -1,
    "filter.span.start_offset.nanos": -1,
    "filter.span.end_offset.seconds": -1,
    "filter.span.end_offset.nanos": -1,
    "filter.share.start": math.nan,
    "filter.share.end": 1.5,
    "interpret": ANY,
    "literal_words": ["x"] * 101,
}
# Of ListVideosRequest; its filter is a search's.
LISTING: Mapping[str, Any] = {
    "collection": NAMED,
    "version": NAMED,
    "page_size": -1,
    "page_token": "nonsense!",
}
# What is wrong of two fields together.
BOTH: Mapping[str, Mapping[str, Any]] = {
    "filter.before_date": {"from_date": {"seconds": 9}, "before_date": {"seconds": 8}},
    "filter.max_duration": {"min_duration": {"seconds": 9}, "max_duration": {"seconds": 8}},
    "filter.span.end_offset": {"span": {"start_offset": {"seconds": 9}, "end_offset": {"seconds": 9}}},
    "filter.share.end": {"share": {"start": 0.5, "end": 0.5}},
}
ADMIN: Mapping[str, Mapping[str, Any]] = {
    "GetStatus": {"collection": NAMED},
    "ListCollections": {},
    "ListVersions": {"collection": NAMED},
    # roll_back is sent with a version here.
    "ActivateVersion": {"collection": NAMED, "version": NAMED, "roll_back": True, "prepare_only": ANY},
    "SubmitJob": {
        "collection": NAMED,
        "request_id": "\x01",
        "add.paths": ["videos/a.mp4"],
        "delete.video_ids": [],
        "delete.purge": ANY,
        "snapshot.destination": "copy",
        "snapshot.version": NAMED,
        "restore.source": "/a\0b",
        "restore.version": NAMED,
        "collect_garbage.keep": ANY,
    },
    "DrainWorker": {"worker": NAMED, "undo": ANY, "force": ANY},
    "ListJobs": {"collection": NAMED, "request_id": ANY, "page_size": 1001},
}
LIST_ALL = search_service_pb2.ListVideosRequest()
# Where the path says more than the field: which of several.
SHOWN = {
    **{"add.paths": "add.paths[0]", "composed.parts.text": "composed.parts[0].text"},
    **{"composed.parts.not_texts": "composed.parts[0].not_texts[0]", "params.channels": "params.channels[0]"},
    **{f"composed.within.{unit}": "composed.within" for unit in ("seconds", "nanos")},
}


def leaves(about: Descriptor, before: str = "") -> Iterator[str]:
    """Yield the paths of all fields that hold values."""
    for one in about.fields:
        if one.message_type is None:
            yield before + one.name
        else:
            yield from leaves(one.message_type, f"{before}{one.name}.")


def wrong(request: Message, path: str, value: Any) -> Any:
    """Return a request with one field set."""
    spoilt = type(request)()
    spoilt.CopyFrom(request)
    *inside, last = path.split(".")
    holder: Any = spoilt
    for name in inside:
        holder = getattr(holder, name)
        if isinstance(holder, Message):
            holder.SetInParent()
        else:
            holder = holder[0]
    if isinstance(value, list):
        holder.ClearField(last)
        getattr(holder, last).extend(value)
    else:
        setattr(holder, last, value)
    return spoilt


def checked(table: Mapping[str, Any]) -> list[str]:
    return [path for path, value in table.items() if value not in (ANY, NAMED)]


async def violation(call: Any) -> str:
    """Return the field that a refused call names; the words say what is wrong with it."""
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await call
    assert failure.value.code() is grpc.StatusCode.INVALID_ARGUMENT, failure.value
    (found,) = details(failure.value)["BadRequest"].field_violations
    assert found.description
    assert found.reason
    return str(found.field)


def test_no_field_of_a_request_is_left_out_here() -> None:
    search = search_service_pb2.SearchRequest.DESCRIPTOR
    assert list(leaves(search)) == list(SEARCH)
    methods = admin_service_pb2.DESCRIPTOR.services_by_name["AdminService"].methods
    assert {method.name: list(leaves(method.input_type)) for method in methods} == {
        name: list(table) for name, table in ADMIN.items()
    }
    others = {m.name for m in search_service_pb2.DESCRIPTOR.services_by_name["SearchService"].methods}
    assert others == {"Search", "BatchSearch", "ProgressiveSearch", "Explain", "ListVideos"}
    listing = set(leaves(search_service_pb2.ListVideosRequest.DESCRIPTOR))
    assert listing == {*(path for path in SEARCH if path.startswith("filter.")), *LISTING}


def test_a_wrong_field_is_named(tmp_path: Path) -> None:
    with (
        cluster(tmp_path) as workers,
        closing(Queue(workers.topology.collection, workers.corpus.name, 3)) as queue,
    ):
        serve(workers, LibraryServicer({queue.name: queue}, lambda: None, Roots(None)))

        async def ask() -> None:
            async with coordinator(workers) as (stub, running):
                await of_searches(stub)
                async with grpc.aio.insecure_channel(running.admin_address) as channel:
                    await of_the_operator(AdminServiceStub(channel))

        asyncio.run(ask())
        assert queue.jobs() == []


async def of_searches(stub: Any) -> None:
    embedded = embedding_of(np.ones(DIM))
    text, parts = search_service_pb2.SearchRequest(text=TEXT), search_service_pb2.SearchRequest()
    parts.composed.parts.add(text=TEXT)
    bases = {"embedding": embedded, "composed": parts}
    asked = {
        SHOWN.get(path, path): wrong(bases.get(path.split(".")[0], text), path, SEARCH[path])
        for path in checked(SEARCH)
    }
    for path, request in asked.items():
        assert await violation(stub.Search(request)) == path
        assert await violation(stub.ProgressiveSearch(request).read()) == path
        if path not in ("page_size", "page_token"):  # which it does not read
            explain = search_service_pb2.ExplainRequest(search=request, video_id="a")
            assert await violation(stub.Explain(explain)) == f"search.{path}"
    batch = search_service_pb2.BatchSearchRequest(requests=asked.values())
    entries = (await stub.BatchSearch(batch)).entries
    assert [of_entry(entry) for entry in entries] == [f"requests[{n}].{path}" for n, path in enumerate(asked)]
    for path, value in {**SEARCH, **LISTING}.items():
        if path in checked(LISTING) or path.startswith("filter."):
            assert await violation(stub.ListVideos(wrong(LIST_ALL, path, value))) == path
    for path, fields in BOTH.items():
        both = search_service_pb2.SearchRequest(text=TEXT, filter=search_service_pb2.Filter(**fields))
        assert await violation(stub.Search(both)) == path
    many = search_service_pb2.BatchSearchRequest(requests=[embedded] * 65)
    assert await violation(stub.BatchSearch(many)) == "requests"


async def of_the_operator(stub: Any) -> None:
    for method in admin_service_pb2.DESCRIPTOR.services_by_name["AdminService"].methods:
        table, call = ADMIN[method.name], getattr(stub, method.name)
        for path in checked(table):
            request: Any = GetMessageClass(method.input_type)()
            if path == "roll_back":
                request.version = "1"
            assert await violation(call(wrong(request, path, table[path]))) in (path, SHOWN.get(path)), path
    assert await violation(stub.SubmitJob(admin_service_pb2.SubmitJobRequest())) == "work"


def of_entry(entry: search_service_pb2.BatchSearchResponse.Entry) -> str:
    bad = error_details_pb2.BadRequest()
    assert any(detail.Unpack(bad) for detail in entry.status.details), entry
    return str(bad.field_violations[0].field)
