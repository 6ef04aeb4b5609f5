"""Serving from stored contexts: the models of a generation, and requests ranked together."""

import logging
import threading
from pathlib import Path

import numpy as np
import pytest

from engine.errors import DeadlineExceeded, Mismatch
from engine.files import read_json, write_json
from engine.types import Ranked, RankQuery
from tests import numeric
from tests.workers.ranker.factories import described, with_contexts
from workers.ranker.models import Models
from workers.ranker.scorer import Scorer


@pytest.fixture(scope="module")
def generation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A generation with stored contexts."""
    return with_contexts(tmp_path_factory.mktemp("collection"))


def _ask(scorer: Scorer, videos: int, timeout: float | None = None) -> Ranked:
    query = scorer.encode("a red ball bounces")
    ordinals = np.arange(videos, dtype=np.int32)
    spans = np.tile([0.0, 3.0], (videos, 1))
    scores = np.zeros(videos, np.float32)
    asked = RankQuery(query.token_states, query.text_embedding, ordinals, spans, scores)
    return scorer.rank(asked, timeout)


def test_a_generation_with_stored_contexts_is_served_from_them(
    generation: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    scorer = Scorer(Models.open(generation, "cpu"))
    scorer.warm_up()
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


def test_contexts_of_another_ranker_are_passed_over(
    generation: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = generation / "encoded" / "encoded.json"
    about = read_json(path)
    write_json(path, about | {"ranker": "0123456789abcdef"})
    with pytest.raises(Mismatch, match="manifest says"):
        Models.open(generation, "cpu")
    other = described(generation)
    models = Models.open(other, "cpu")
    assert not models.ranker.batched
    assert any("another ranker's" in record.getMessage() for record in caplog.records)
    write_json(other / "encoded" / "encoded.json", about)
    assert described(other) == generation
    assert Models.open(generation, "cpu").ranker.batched


def test_damaged_contexts_are_refused(generation: Path) -> None:
    path = generation / "encoded" / "video.npy"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(Mismatch, match=r"video\.npy has SHA-256"):
        Models.open(generation, "cpu")
    path.write_bytes(whole)
