"""Every field of every request about judgements with a wrong value: the answer names that field."""

import asyncio
from collections.abc import Mapping
from typing import Any

from google.protobuf.message_factory import GetMessageClass

from spr.v1 import feedback_service_pb2
from tests.engine.asking import TEXT
from tests.engine.oracle import Cluster
from tests.engine.test_feedback import judging, workers  # noqa: F401
from tests.engine.test_violations import ANY, NAMED, checked, leaves, violation, wrong

FEEDBACK: Mapping[str, Mapping[str, Any]] = {
    "RecordJudgements": {
        "collection": NAMED,
        "judgements.id": "x" * 65,
        "judgements.query": " ",
        "judgements.video_id": NAMED,
        "judgements.span.start_offset.seconds": -1,
        "judgements.span.start_offset.nanos": -1,
        "judgements.span.end_offset.seconds": 10**9,
        "judgements.span.end_offset.nanos": 2**30,
        "judgements.grade": 5,
        "judgements.shown_span.start_offset.seconds": -1,
        "judgements.shown_span.start_offset.nanos": -1,
        "judgements.shown_span.end_offset.seconds": 10**9,
        "judgements.shown_span.end_offset.nanos": 2**30,
        "judgements.rank": ANY,
        "judgements.version": "x" * 81,
        "judgements.request_id": "x" * 65,
        "judgements.annotator": "x" * 81,
        # Set by the server.
        "judgements.who": ANY,
        "judgements.create_time.seconds": ANY,
        "judgements.create_time.nanos": ANY,
    },
    "ListJudgements": {
        "collection": NAMED,
        "query": ANY,
        "video_id": ANY,
        "page_size": 1001,
        "page_token": "nonsense",
    },
    "DeleteJudgements": {"collection": NAMED, "ids": []},
}
METHODS = feedback_service_pb2.DESCRIPTOR.services_by_name["FeedbackService"].methods_by_name


def test_no_field_of_a_request_is_left_out_here() -> None:
    assert {name: list(leaves(method.input_type)) for name, method in METHODS.items()} == {
        name: list(fields) for name, fields in FEEDBACK.items()
    }


def test_a_wrong_field_is_named(workers: Cluster) -> None:  # noqa: F811
    async def run() -> None:
        async with judging(workers) as stub:
            await of_feedback(stub, workers.corpus.ids()[0])

    asyncio.run(run())


async def of_feedback(stub: Any, video: str) -> None:
    moment = feedback_service_pb2.Judgement(query=TEXT, video_id=video)
    moment.span.end_offset.nanos = 500_000_000
    for method, table in FEEDBACK.items():
        about = METHODS[method]
        for path in checked(table):
            request: Any = GetMessageClass(about.input_type)()
            if path.startswith("judgements."):
                field = path.removeprefix("judgements.")
                request.judgements.append(wrong(moment, field, table[path]))
            else:
                request = wrong(request, path, table[path])
            named = await violation(getattr(stub, method)(request))
            assert path.startswith(named.replace("[0]", "")), path
    many = feedback_service_pb2.RecordJudgementsRequest(judgements=[moment] * 101)
    assert await violation(stub.RecordJudgements(many)) == "judgements"
