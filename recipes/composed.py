"""What queries of several sentences find in a rendered world, by asking a running service.

    python -m recipes.composed WORLD --address 127.0.0.1:7400 [--split test] [--json]

WORLD is what `spr corpus render` wrote (of the profile `plain`); the service's version holds the videos of
the split. Ordered pairs: NDCG@10 of chains, where a chain is found if each of its parts overlaps by an IoU of
0.5. Beside it what the first sentence alone earns, as if whatever follows it in the video were found.
Negatives: how many of the first ten moments show what must not be there, without and with the negative text.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from engine.files import read_json
from engine.temporal import iou
from spr_client import Client, Composed, Moment, Options, Part
from trainer.evaluation.matching import dcg
from trainer.world.pairs import JudgedChain, NegatedQuery, negated_queries, ordered_queries
from trainer.world.plan import VideoPlan
from trainer.world.planner import plan_video

DEPTH = 10
SAME = 0.5  # IoU of a part that is found; also what is dropped as the same moment


def main() -> None:
    """Print the measures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("world", type=Path)
    parser.add_argument("--address", default="127.0.0.1:7400")
    parser.add_argument("--split", default="test", choices=("val", "test"))
    parser.add_argument("--queries", type=int, default=200, help="of each kind, at most")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    videos = planned(options.world, options.split)
    with Client(options.address) as client:
        found = ordered(client, videos, options.queries) | negated(client, videos, options.queries)
    if options.json:
        print(json.dumps(found))
        return
    for name, value in found.items():
        print(f"{name:42} {value:.3f}" if isinstance(value, float) else f"{name:42} {value}")


def planned(world: Path, split: str) -> list[VideoPlan]:
    """Return the plans of a rendered world's videos of one split."""
    about = read_json(world / "world.json")
    plans = (plan_video(about["seed"], index) for index in range(about["videos"]))
    return [plan for plan in plans if plan.split == split]


def ordered(client: Client, videos: Sequence[VideoPlan], count: int) -> dict[str, float | int]:
    """Measure "A, then B"."""
    queries = ordered_queries(videos, count, seed=3)
    measured = []
    for query in queries:
        asked = Composed(parts=[Part(text=text) for text in query.texts])
        measured.append(ndcg(client.search(asked, page_size=DEPTH).moments, query.chains))
    return {
        "ordered pairs": len(queries),
        "ordered pairs NDCG@10, IoU>=0.5 a part": float(np.mean(measured)),
    }


def ndcg(moments: Sequence[Moment], chains: Sequence[JudgedChain]) -> float:
    """Return the NDCG@10 of chains: one earns the grade of the best free true one whose parts it overlaps."""
    left, earned = list(chains), np.zeros(DEPTH)
    for rank, moment in enumerate(moments[:DEPTH]):
        fits = [chain for chain in left if chain.video == moment.video and _overlap(moment, chain) >= SAME]
        if fits:
            best = max(fits, key=lambda chain: _overlap(moment, chain))
            earned[rank] = best.grade
            left.remove(best)
    ideal = np.array([chain.grade for chain in chains[:DEPTH]], np.float64)
    return float(dcg(earned) / dcg(ideal))


def _overlap(moment: Moment, chain: JudgedChain) -> float:
    """Return the IoU of the part that overlaps least."""
    return float(np.diag(iou(np.array(moment.parts), np.array(chain.spans))).min())


def negated(client: Client, videos: Sequence[VideoPlan], count: int) -> dict[str, float | int]:
    """Measure "A, not B"."""
    queries = negated_queries(videos, count, seed=4)
    without, heeded = list[float](), list[float]()
    for query in queries:
        plain = Composed(parts=[Part(text=query.text)])
        negative = Composed(parts=[Part(text=query.text, without=[query.negative])])
        for asked, shares in ((plain, without), (negative, heeded)):
            options = Options(nms_iou=SAME)
            shares.append(showing(client.search(asked, page_size=DEPTH, options=options).moments, query))
    return {
        "negated": len(queries),
        "share of the first 10 that show it, without": float(np.mean(without)),
        "share of the first 10 that show it, heeded": float(np.mean(heeded)),
    }


def showing(moments: Sequence[Moment], query: NegatedQuery) -> float:
    """Return the share of moments that overlap an event which shows what must not be there."""
    shown = [
        any(video == m.video and start < m.end and end > m.start for video, start, end in query.showing)
        for m in moments
    ]
    return float(np.mean(shown)) if shown else 0.0


if __name__ == "__main__":
    main()
