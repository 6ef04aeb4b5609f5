"""Fusion of ranked lists, and what texts say of proposals, against loops."""

import numpy as np

from engine import channels
from engine.texts import LISTS, TextHits
from engine.types import Hits, Proposals
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
