"""Serving from stored contexts: the models of a version, and requests ranked together."""

import logging
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.errors import DeadlineExceeded
from engine.types import Ranked, RankQuery
from tests import numeric
from tests.workers.ranker.factories import tiny_collection
from workers.ranker.models import Models
from workers.ranker.scorer import Scorer
from workers.ranker.scoring.relo_ranker import ReloRanker


def _ask(scorer: Scorer, videos: int, timeout: float | None = None) -> Ranked:
    query = scorer.encode("a red ball bounces")
    ordinals = np.arange(videos, dtype=np.int32)
    spans = np.tile([0.0, 3.0], (videos, 1))
    scores = np.zeros(videos, np.float32)
    asked = RankQuery(query.token_states, query.text_embedding, ordinals, spans, scores)
    ranked = scorer.rank(asked, timeout)
    assert isinstance(ranked, Ranked)
    return ranked


def test_a_version_with_stored_contexts_is_served_from_them(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO)
    made = tiny_collection(tmp_path / "collection", trained=True, contexts="float16")
    scorer = Scorer(Models.open(made.directory, device="cpu"))
    ranked: list[int] = []
    found_many = ReloRanker.found_many

    def noted(self: ReloRanker, queries: Sequence[RankQuery], *rest: Any, **more: Any) -> Any:
        ranked.extend(len(query.videos) for query in queries)
        return found_many(self, queries, *rest, **more)

    monkeypatch.setattr(ReloRanker, "found_many", noted)
    scorer.warm_up()
    # As many as a search has: the threads that share them have begun.
    assert ranked == [200]
    warmed = [record.getMessage() for record in caplog.records if "in memory" in record.getMessage()]
    assert warmed == ["stored contexts are in memory"]
    assert scorer.models.ranker.batched
    alone = [_ask(scorer, videos) for videos in (1, 2, 3)]
    answers: dict[int, Ranked] = {}
    threads = [threading.Thread(target=lambda n=n: answers.update({n: _ask(scorer, n)})) for n in (1, 2, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for wanted in alone:
        found = answers[len(wanted)]
        np.testing.assert_array_equal(found.spans, wanted.spans)
        numeric.close(found.scores, wanted.scores)
    with pytest.raises(DeadlineExceeded):
        _ask(scorer, 3, 0.0)
