import json
from pathlib import Path

import numpy as np
import pytest

from bench import corpus, registry
from bench.results import Context
from bench.sizes import TINY
from engine.errors import InvalidInput
from tests import numeric

# load is what search is, with more clients; it is run by hand.
STAGES = [stage for stage in registry.STAGES if stage not in ("ingest", "load")]


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Context:
    return Context(TINY, tmp_path_factory.mktemp("bench"), threads=1)


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_measures_something(stage: str, context: Context) -> None:
    found = json.loads(json.dumps(registry.run_here(stage, context)))
    assert found["rows"]
    keys = [row["key"] for row in found["rows"]]
    assert len(set(keys)) == len(keys)
    for row in found["rows"]:
        assert row["way"] in ("ours", "published", "floor")
        assert np.isfinite(row["value"])
        # What the path adds may be lost in the noise of a few calls.
        assert row["value"] > 0 or row["key"] == "overhead"


def test_vectors_are_the_same_however_they_are_read(tmp_path: Path) -> None:
    one = corpus.load(tmp_path, 0.01, 32)
    again = corpus.load(tmp_path, 0.01, 32)
    assert (one.vectors == again.vectors).all()
    numeric.close(np.linalg.norm(one.vectors, axis=1), 1)
    assert len(one.videos) == one.counts.sum() == len(one.segments)
    best = np.argsort(-(one.queries[:3] @ one.vectors.T), axis=1, kind="stable")[:, :5]
    assert (corpus.exact(one.vectors, one.queries[:3], 5) == best).all()


@pytest.mark.parametrize("segments", [10, 5_000, 1_000_000])
def test_a_corpus_has_as_many_segments_as_asked(segments: int) -> None:
    counts = corpus.videos_for(segments)
    assert counts.sum() == segments
    assert counts.min() > 0


def test_an_unknown_stage_is_refused() -> None:
    with pytest.raises(InvalidInput, match="'speed' is not known"):
        registry.check(("speed",))
    assert registry.check(("rank", "floor")) == ["floor", "rank"]
