"""What pictures find beside sentences, on the demo: `python -m recipes.by_picture build/demo`.

For every judged query of the test split an event that shows it fully is drawn, and frames of it are decoded
halfway between the seconds that ingest took: pictures that the collection does not hold. They are asked in
place of the sentence, and judged by its judgements; once more without the video they are of, so that only
other videos' moments count.
"""

import argparse
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from engine.examples import WEIGHT, Picture, joined
from engine.types import EncodedQuery
from spr_gateway.pictures import evenly
from trainer.collection.annotations import JudgedMoment, JudgedQuery, load_queries
from trainer.evaluation.judged import Judgements, Ranking
from trainer.evaluation.measures import NDCG
from trainer.evaluation.offline import Offline
from trainer.evaluation.runfile import REFINED, Predicted
from workers.pictures import jpeg
from workers.ranker.examples import ExampleEncoder

PICTURES = 5
EDGE = 512
MEASURE = NDCG.parse("NDCG@10,IoU>=0.3")


def measured(
    collection: Path, videos: Path, queries: int, seed: int = 0
) -> Mapping[str, tuple[float, float]]:
    """Return NDCG@10 of each kind of query over all, and without the event's own video."""
    offline, random = Offline.open(collection, device="cpu"), np.random.default_rng(seed)
    encoder, found = ExampleEncoder(offline.models), dict[str, list[tuple[float, float]]]()
    for query in load_queries(collection / "annotations" / "test.json")[:queries]:
        events = [m for m in query.moments if m.relevance == 4 and m.video in offline.catalogue]
        if not events:
            continue
        event = events[random.integers(len(events))]
        for kind, asked in _asked(query, event, videos, offline, encoder):
            answer = offline.answer_to(asked)[REFINED]
            judged = Judgements.of(query)
            found.setdefault(kind, []).append((_ndcg(answer, judged), _ndcg(answer, judged, event.video)))
    return {kind: tuple(np.mean(rows, axis=0)) for kind, rows in found.items()}


def _asked(
    query: JudgedQuery, event: JudgedMoment, videos: Path, offline: Offline, encoder: ExampleEncoder
) -> Iterator[tuple[str, EncodedQuery]]:
    file = videos / f"{event.video}.mp4"
    # Away from the ends, where the event has not begun to show, and between two seconds of the grid.
    first, last = np.ceil(event.start) + 0.5, max(np.ceil(event.start) + 1.5, np.floor(event.end) - 0.5)
    times = np.unique(np.round(np.linspace(first, last - 1, PICTURES))) + 0.5
    files = [jpeg(evenly(file, float(t), float(t) + 0.02, 1, EDGE)[0]) for t in times]
    (text,) = offline.models.encode([query.query])
    one = encoder.encode([Picture(files[len(files) // 2])])
    yield "sentence", text
    yield "one picture", one
    yield f"{PICTURES} pictures", encoder.encode([Picture(data) for data in files])
    yield "sentence and picture", joined(text, one, WEIGHT)


def _ndcg(answer: list[Predicted], judged: Judgements, without: str = "") -> float:
    rows = [moment for moment in answer if moment.video != without]
    kept = judged.videos != without
    ranking = Ranking.of([row.video for row in rows], [(row.start, row.end) for row in rows])
    return MEASURE.of(ranking, Judgements(judged.videos[kept], judged.spans[kept], judged.relevances[kept]))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("demo", type=Path)
    parser.add_argument("--queries", type=int, default=72)
    asked = parser.parse_args()
    demo = asked.demo
    print(f"{'query':24} {MEASURE}  without its video")
    for kind, (whole, without) in measured(
        demo / "collection", demo / "world" / "videos", asked.queries
    ).items():
        print(f"{kind:24} {whole:.3f}             {without:.3f}")


if __name__ == "__main__":
    main()
