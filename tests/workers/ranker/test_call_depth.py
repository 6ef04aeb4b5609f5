"""How many functions a rank call passes inside its worker.

Counted are the functions of `workers/` on the call stack, from `RankerServicer.Rank` to the kernel's entry,
both counted. The way leads over two threads: the event loop's, down to where the call waits for its batch,
and the batcher's, from its loop on. Functions that have returned by then (checks, translations) do not count,
nor do those of libraries and of `engine/`.
"""

import sys
from pathlib import Path
from types import FrameType
from typing import Any

import grpc
import numpy as np
import pytest

import workers
from engine import versions, wire_rank
from engine.types import Proposals, RankQuery
from spr.internal.v1.ranker_service_pb2_grpc import RankerServiceStub, add_RankerServiceServicer_to_server
from tests.engine.server import Server
from tests.workers.ranker.factories import TEXTS, tiny_collection
from workers.duty import Duty
from workers.ranker.batching import Batcher
from workers.ranker.models import SharedModels
from workers.ranker.scorer import Scorer, Scorers
from workers.ranker.scoring import compiled, kernel
from workers.ranker.servicer import RankerServicer
from workers.versions import Held

MOST = 8
OURS = str(Path(str(workers.__path__[0])))


def passed(frame: FrameType | None) -> list[str]:
    """Return the names of our functions on a stack, outermost first."""
    names = []
    while frame is not None:
        if frame.f_code.co_filename.startswith(OURS):
            names.append(frame.f_code.co_qualname)
        frame = frame.f_back
    return names[::-1]


@pytest.mark.skipif(not kernel.supported(), reason="this CPU cannot run the kernel")
def test_a_rank_call_passes_few_functions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ways: list[list[str]] = []
    waiting: list[list[str]] = []
    score, submit = compiled.score_windows, Batcher.submit

    def queued(batcher: Batcher[Any, Any], *arguments: Any) -> Any:
        waiting.append(passed(sys._getframe(1)))  # which then waits
        return submit(batcher, *arguments)

    def spy(*arguments: Any) -> None:
        inner = passed(sys._getframe(1))
        if inner[0] == "Batcher._run":  # and no helper of the kernel's
            ways.append([*waiting[-1], *inner, "score_windows"])
        score(*arguments)

    made = tiny_collection(tmp_path / "collection", trained=True, contexts="float16")
    held = Held([made.directory], Scorers(SharedModels("cpu")).open)
    held.prepare_current()
    request = _request(held.get(versions.current(made.directory)))
    monkeypatch.setattr(kernel, "score_windows", spy)
    monkeypatch.setattr(Batcher, "submit", queued)
    servicer = RankerServicer(held, "cpu", Duty())
    server = Server(lambda server: add_RankerServiceServicer_to_server(servicer, server))
    with grpc.insecure_channel(server.address) as channel:
        response = RankerServiceStub(channel).Rank(request, timeout=300)
    server.stop()
    assert any(response.refined)
    assert waiting[-1] == ["RankerServicer.Rank", "Batcher.soon"]
    assert ways
    for way in ways:
        assert len(way) <= MOST, " > ".join(way)


def _request(scorer: Scorer) -> Any:
    query, about = scorer.encode(TEXTS[0]), scorer.models.version
    rows, spans = np.arange(2, dtype=np.int32), np.array([[8.0, 16.0], [4.0, 8.0]])
    request = wire_rank.query_to_pb(
        RankQuery.of(query, Proposals(rows, spans, rows, np.zeros(2, np.float32)))
    )
    request.generation, request.embedding_model = about.id, about.embedding_model
    return request
