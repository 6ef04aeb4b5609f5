"""Examples of queries, encoded and ranked by the models of a version."""

import numpy as np
import pytest
import torch

from engine.errors import InvalidInput, Mismatch
from engine.examples import Frame, Picture, Span
from engine.types import Floats, Ranked, RankQuery
from tests import numeric
from tests.workers.ranker.factories import WIDTH, tiny_collection
from tests.workers.test_pictures import file_of, noise
from workers.ranker.encoder.known_queries import KnownQueries
from workers.ranker.examples import MOST_SEGMENTS, Asked, ExampleEncoder
from workers.ranker.models import Models
from workers.ranker.projection.segments import segment_inputs
from workers.ranker.scorer import Scorer


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    """A trained projector and ranker, and a video of an hour beside short ones."""
    made = tiny_collection(
        tmp_path_factory.mktemp("examples"), trained=True, contexts="float16", videos={"a": 41, "b": 3600}
    )
    return Models.open(made.directory, device="cpu")


def segments(models: Models, video: int) -> Floats:
    """Return the unit vectors that a build would index."""
    rows = np.asarray(models.features.video(video, "frames"), np.float32)
    with torch.inference_mode():
        found = models.projector.segments(torch.from_numpy(segment_inputs(rows, 4)))
    return np.asarray(torch.nn.functional.normalize(found, dim=-1).numpy(), np.float32)


@pytest.mark.parametrize(("start", "end", "segment"), [(8.0, 12.0, 2), (40.0, None, 10)])
def test_a_segment_is_its_own_nearest(models: Models, start: float, end: float | None, segment: int) -> None:
    found = ExampleEncoder(models).encode([Span(0, start, end)])
    cosines = segments(models, 0) @ found.embedding
    assert cosines.argmax() == segment
    numeric.close(cosines[segment], 1.0)


def test_a_long_span_is_read_in_part_and_all_over(models: Models) -> None:
    found = ExampleEncoder(models).encode([Span(1, 0.0, None)])
    chosen = np.linspace(0, 899, MOST_SEGMENTS).astype(int)
    mean = segments(models, 1)[chosen].mean(axis=0)
    numeric.close(found.embedding, mean / np.linalg.norm(mean))


def test_a_picture_is_a_segment_that_stands_still(models: Models) -> None:
    encoder = ExampleEncoder(models)
    data = file_of(noise())
    (row,) = encoder.frames([data])
    with torch.inference_mode():
        still = models.projector.segments(torch.from_numpy(np.tile(row, (1, 4, 1))))[0].numpy()
    by_picture, by_frame = encoder.encode([Picture(data)]), encoder.encode([Frame(row)])
    numeric.close(by_picture.embedding, still / np.linalg.norm(still))
    np.testing.assert_array_equal(by_picture.embedding, by_frame.embedding)
    assert by_picture.token_states.shape == (0, WIDTH)


def test_without_words_the_similarity_curve_ranks_what_a_trained_ranker_serves(models: Models) -> None:
    scorer = Scorer(models)
    query = scorer.examples(Asked([Span(0, 12.0, 20.0)]))
    columns = np.zeros(1, np.int32), np.array([[8.0, 24.0]]), np.ones(1, np.float32)
    ranked = scorer.rank_shown(RankQuery(query.token_states, query.text_embedding, *columns))
    assert isinstance(ranked, Ranked)
    assert ranked.ranker == "similarity-curve"
    # Video "a" shows something from second 12 to 20.
    assert np.abs(ranked.spans - [[12.0, 20.0]]).max() <= 1.0


def test_the_example_that_is_wrong_is_named(models: Models) -> None:
    encoder = ExampleEncoder(models)
    with pytest.raises(InvalidInput) as caught:
        encoder.encode([Span(0, 0.0, 4.0), Picture(b"nothing")])
    assert caught.value.field == "examples[1].image"
    with pytest.raises(InvalidInput, match="begins at 41 s, where the video of 41 s has no picture"):
        encoder.encode([Span(0, 41.0, None)])


def test_without_an_image_tower_a_picture_is_refused_and_a_span_is_not(
    models: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = KnownQueries.__new__(KnownQueries)
    known.dim = known.token_width = WIDTH
    monkeypatch.setattr(Models, "encoder", property(lambda _: known))
    encoder = ExampleEncoder(models)
    assert len(encoder.encode([Span(0, 0.0, 4.0)]).embedding) == WIDTH
    with pytest.raises(Mismatch, match="cannot be searched by picture; name a span"):
        encoder.encode([Picture(file_of(noise()))])
    known.dim = WIDTH + 1
    with pytest.raises(Mismatch, match="cannot be searched by example"):
        encoder.encode([Span(0, 0.0, 4.0)])
