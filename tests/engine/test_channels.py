"""Fusion of ranked lists, and what texts say of proposals, against loops."""

from dataclasses import replace

import numpy as np

from engine import channels
from engine.entries import TextsEntry
from engine.texts import LISTS, ListName, TextHits
from engine.types import Hits, Proposals, Ranked
from tests.numeric import close


def hits(rng: np.random.Generator, n: int) -> Hits:
    """Return distinct segments of 5 videos with scores that descend."""
    keys = rng.choice(5 * 40, n, replace=False)
    scores = np.sort(rng.random(n).astype(np.float32))[::-1]
    return Hits((keys // 40).astype(np.int32), (keys % 40).astype(np.int32), scores)


def test_a_segment_s_score_is_the_sum_over_its_lists() -> None:
    rng = np.random.default_rng(0)
    seen, texts = hits(rng, 50), [TextHits(name, hits(rng, 30)) for name in LISTS[:3]]
    weights = {"seen": 1.0, "said.words": 0.5, "said.meaning": 2.0, "written.words": 0.25}
    wanted: dict[tuple[int, int], float] = {}
    for name, one in [("seen", seen), *((".".join(text.name), text.hits) for text in texts)]:
        for rank, key in enumerate(zip(one.videos.tolist(), one.segments.tolist(), strict=True)):
            wanted[key] = wanted.get(key, 0.0) + weights[name] / (60 + rank)
    best = sorted(wanted.items(), key=lambda pair: (-pair[1], pair[0]))[:60]
    found = channels.fuse(seen, texts, 60, weights)
    assert list(zip(found.videos.tolist(), found.segments.tolist(), strict=True)) == [key for key, _ in best]
    close(found.scores, np.array([score for _, score in best]))
    cosines = dict(
        zip(zip(seen.videos.tolist(), seen.segments.tolist(), strict=True), seen.scores, strict=True)
    )
    assert found.cosines is not None
    assert found.cosines.tolist() == [cosines.get(key, seen.scores[-1]) for key, _ in best]


def test_without_a_text_the_list_is_what_is_seen() -> None:
    seen = hits(np.random.default_rng(1), 9)
    assert channels.fuse(seen, [TextHits(LISTS[0], hits(np.random.default_rng(1), 0))], 5) is seen


def test_a_proposal_has_the_best_score_of_its_segments() -> None:
    rng = np.random.default_rng(2)
    texts = [TextHits(name, hits(rng, 35)) for name in LISTS]
    starts = rng.integers(0, 39, 80) * 4.0
    spans = np.stack([starts, starts + rng.integers(1, 4, 80) * 4.0 - 1.5], axis=1)
    n = len(spans)
    videos = rng.integers(0, 5, n).astype(np.int32)
    proposals = Proposals(videos, spans, np.arange(n, dtype=np.int32), np.zeros(n, np.float32))
    found = channels.columns(proposals, texts, 4.0)
    for row in range(n):
        for column, text in enumerate(texts):
            inside = [
                float(score)
                for video, segment, score in zip(
                    text.hits.videos, text.hits.segments, text.hits.scores, strict=True
                )
                if video == videos[row] and segment * 4 < spans[row, 1] and (segment + 1) * 4 > spans[row, 0]
            ]
            assert found[row, column] == max(inside, default=0.0)


def test_what_chance_finds_in_texts_is_left_out() -> None:
    videos, first = np.arange(4, dtype=np.int32), np.zeros(4, np.int32)
    words = TextHits(ListName("said", "words"), Hits(videos, first, np.array([0.9, 0.18, 0.09, 0.02], "f4")))
    meant = TextHits(ListName("said", "meaning"), Hits(videos, first, np.array([0.9, 0.86, 0.8, 0.7], "f4")))
    kept = channels.telling([words, meant], 0.75)
    assert [one.hits.videos.tolist() for one in kept] == [[0, 1], [0, 1]]


def test_a_sure_text_comes_first_and_an_unsure_one_moves_little() -> None:
    about = TextsEntry("0" * 64, usual_cosine=0.75)
    n = 40
    videos, spans = np.arange(n, dtype=np.int32), np.tile([0.0, 8.0], (n, 1))
    cosines = np.linspace(0.9, 0.1, n).astype(np.float32)
    texts = np.zeros((n, 4), np.float32)
    proposals = Proposals(videos, spans, videos, cosines, cosines, texts)
    ranked = Ranked("similarity-curve", spans, cosines.astype(float), cosines, np.ones(n, bool))
    assert channels.after_ranking(ranked, proposals, about) is ranked
    texts[30, 0], texts[35, 0] = 0.5, 0.175
    order = np.argsort(-channels.after_ranking(ranked, proposals, about).scores, kind="stable").tolist()
    assert order[0] == 30
    assert order.index(35) > 25
    # Sought in texts alone, theirs is the order.
    alone = replace(proposals, cosines=np.zeros(n, np.float32))
    order = np.argsort(-channels.after_ranking(ranked, alone, about).scores, kind="stable").tolist()
    assert order[:3] == [30, 35, 0]
    # What the ranker weighed itself stays.
    weighed = replace(ranked, texts_weighed=True)
    assert channels.after_ranking(weighed, proposals, about) is weighed


def test_moments_that_say_the_same_twice_come_last() -> None:
    about = TextsEntry("0" * 64)
    videos, spans = np.array([0, 0, 1], np.int32), np.array([[0.0, 8], [1, 8], [0, 8]])
    texts = np.zeros((3, 4), np.float32)
    texts[:2, 0] = 0.9
    scores = np.array([0.3, 0.2, 0.1], np.float32)
    ranked = Ranked("similarity-curve", spans, scores.astype(float), scores, np.ones(3, bool))
    found = channels.after_ranking(ranked, Proposals(videos, spans, videos, scores, scores, texts), about)
    assert np.argsort(-found.scores).tolist() == [0, 2, 1]
