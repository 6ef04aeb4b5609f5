"""The evaluation's inner part: nine NDCG figures of one query."""

import numpy as np

from bench import published
from bench.results import Figure, Outcome, Setup
from bench.timing import laps
from engine.temporal import iou
from trainer.evaluation.judged import Doubles, Judgements, Ranking
from trainer.evaluation.measures import NDCGS, ndcg

_PREDICTED, _JUDGED, _VIDEOS = 150, 30, 12


def run(setup: Setup) -> Outcome:
    """Time nine figures of queries with 150 moments and 30 judged ones in the same dozen videos."""
    cases = [_case(seed) for seed in range(max(4, setup.sizes.runs // 2))]
    objects = [(_objects(run), _objects(truth, truth.relevances)) for run, truth in cases]
    depths = sorted({measure.k for measure in NDCGS})
    limits = sorted({measure.iou for measure in NDCGS})
    for (run, truth), pair in zip(cases[:4], objects, strict=False):
        # Not timed: what is timed must say the same.
        if not np.allclose(ndcg(run, truth), published.ndcg(*pair, depths, limits), atol=1e-12):
            raise ArithmeticError("NDCG as columns and as a loop differ: evaluation.measures is wrong")
    ours = laps(lambda run: ndcg(*cases[run % len(cases)]), setup.sizes.runs)
    loop = laps(lambda run: published.ndcg(*objects[run % len(cases)], depths, limits), setup.sizes.runs)
    floor = laps(lambda run: _overlap(*cases[run % len(cases)]), setup.sizes.runs)
    return Outcome(
        [
            Figure(
                "ours", "nine NDCG figures of a query", "ours", ours.median, more={"p99_ms": ours.share(0.99)}
            ),
            Figure("published", "the same, a loop for each figure", "published", loop.median),
            Figure("floor", "the IoU of 40 predictions and the judged moments", "floor", floor.median),
        ],
        [f"{_PREDICTED} predictions, {_JUDGED} judged moments, {_VIDEOS} videos; both ways agree."],
    )


def _case(seed: int) -> tuple[Ranking, Judgements]:
    rng = np.random.default_rng(seed)
    starts, true = rng.uniform(0, 80, _PREDICTED), rng.uniform(0, 80, _JUDGED)
    # Names as in the published corpus.
    videos = np.array([f"friends_s01e0{i % 9 + 1}_seg02_clip_{i:02}" for i in range(_VIDEOS)])
    spans = np.stack([starts, starts + rng.uniform(2, 16, _PREDICTED)], axis=1)
    judged = np.stack([true, true + rng.uniform(2, 16, _JUDGED)], axis=1)
    grades = rng.integers(0, 5, _JUDGED).astype(np.float64)
    run = Ranking(videos[rng.integers(0, _VIDEOS, _PREDICTED)], spans)
    return run, Judgements(videos[rng.integers(0, _VIDEOS, _JUDGED)], judged, grades)


def _objects(rows: Ranking | Judgements, grades: Doubles | None = None) -> list[published.LoopMoment]:
    spans = rows.spans.tolist()
    relevances = [0.0] * len(spans) if grades is None else grades.tolist()
    columns = zip(rows.videos.tolist(), spans, relevances, strict=True)
    return [published.LoopMoment(video, start, end, 0, grade) for video, (start, end), grade in columns]


def _overlap(run: Ranking, truth: Judgements) -> Doubles:
    return iou(run.spans[:40], truth.spans)
