"""One computation a sentence, however many ask at the same time and whoever was first."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from engine import wire
from tests.workers.ranker.factories import TEXTS, WIDTH, tiny_collection
from workers.ranker.model.relo import Relo, ReloConfig
from workers.ranker.model.windows import WindowConfig
from workers.ranker.models import Models
from workers.ranker.scorer import Scorer
from workers.ranker.scoring.query_branch import QueryBranch
from workers.ranker.scoring.relo_ranker import ReloRanker

SENTENCE = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)


def branch() -> tuple[Relo, QueryBranch]:
    torch.manual_seed(0)
    window = WindowConfig(clip_length=1.0)
    model = Relo(ReloConfig(visual_dim=6, subtitle_dim=5, query_dim=4, hidden=8, heads=2, window=window))
    return model.eval(), QueryBranch(model, torch.device("cpu"))


def counted(model: Relo, monkeypatch: pytest.MonkeyPatch, before: Any = lambda: None) -> list[int]:
    """Return the number of sentences of each computation, as they come; `before` runs in front of each."""
    calls, encode = list[int](), model.encode_query

    def counting(states: torch.Tensor, mask: torch.Tensor) -> Any:
        calls.append(len(states))
        before()
        return encode(states, mask)

    monkeypatch.setattr(model, "encode_query", counting)
    return calls


def test_calls_at_the_same_time_share_a_computation(monkeypatch: pytest.MonkeyPatch) -> None:
    model, asked = branch()
    begun, go = threading.Event(), threading.Event()

    def wait() -> None:
        begun.set()
        assert go.wait(60)

    calls = counted(model, monkeypatch, wait)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(asked.vectors, [SENTENCE])
        assert begun.wait(60)
        both = pool.submit(asked.vectors, [SENTENCE, 2 * SENTENCE])
        go.set()
        one, two = first.result(60), both.result(60)
    assert calls == [1, 1]
    for column, pair in zip(one.columns(), two.columns(), strict=True):
        np.testing.assert_array_equal(column[0], pair[0])
    asked.vectors([SENTENCE, 2 * SENTENCE])
    assert len(calls) == 2


def test_an_error_is_raised_and_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    model, asked = branch()

    def fail() -> None:
        raise MemoryError

    with monkeypatch.context() as patch:
        counted(model, patch, fail)
        with pytest.raises(MemoryError):
            asked.vectors([SENTENCE])
    assert len(asked.vectors([SENTENCE]).columns()[0]) == 1


def test_what_is_encoded_is_ready_when_it_is_ranked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = tiny_collection(tmp_path / "c", trained=True)
    scorer = Scorer(Models.open(made.directory, device="cpu"))
    ranker = scorer.models.ranker
    assert isinstance(ranker, ReloRanker)
    calls = counted(ranker.model, monkeypatch)

    async def encode() -> bytes:
        query = await scorer.soon(TEXTS[0], None, False)
        scorer.ahead(query)
        await asyncio.get_running_loop().shutdown_default_executor()
        return wire.encoded_to_pb(query).SerializeToString()

    sent = asyncio.run(encode())
    assert calls == [1]
    # As the coordinator sends it back.
    query = wire.encoded_from_pb(type(wire.encoded_to_pb(scorer.encode(TEXTS[0]))).FromString(sent), WIDTH)
    ranker.ahead(query.token_states)
    assert calls == [1]
