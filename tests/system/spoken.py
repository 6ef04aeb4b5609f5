"""A tiny collection in which something is said and written, and its lists of texts by one index of all."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engine.texts import TEXTS, Line
from spr_client import Moment
from tests.workers.ranker.factories import WIDTH, tiny_clip
from trainer.collection.texts import segment_texts
from trainer.evaluation.offline import Offline
from trainer.evaluation.runfile import REFINED
from trainer.generation.build import BuildConfig, build
from trainer.ingest import texts
from trainer.ingest.texts import Texts
from workers.feature_store.store import FeatureStore, Stream
from workers.index.lexicon import Statistics
from workers.index.words import WordIndex
from workers.ranker.encoder.encoder import Encoder

SECONDS = 40
SENTENCES = (
    "we have a problem with the engine",
    "the weather in London is lovely today",
    "prices rise again said the minister",
    "the engine starts at the second attempt",
    "nobody knows where the minister is",
)
PLATES = ("London RE16 SPR", "EXIT", "Engine room 7", "Der Minister tritt zurück")
Place = tuple[int, int]


@dataclass(frozen=True)
class Spoken:
    """texts: of the segments that have any, by channel, video and segment."""

    path: Path
    texts: dict[str, dict[Place, str]]

    @staticmethod
    def make(path: Path) -> "Spoken":
        """Build a version of seven videos in two shards."""
        source = tiny_clip(path / "models" / "encoder" / "tiny")
        encoder = Encoder.load(str(source), "cpu")
        random = np.random.default_rng(5)
        meta = {"encoder": "tiny", "source": str(source), "fingerprint": encoder.fingerprint}
        folder = path / "features" / encoder.fingerprint
        found: dict[str, dict[Place, str]] = {channel: {} for channel in TEXTS}
        with FeatureStore.create(folder, {"frames": Stream(WIDTH, 1.0)}, "float16", meta) as store:
            for video in range(7):
                own = _texts(video)
                for channel in TEXTS:
                    segments = segment_texts(own, channel, SECONDS, 4.0)
                    found[channel] |= {(video, segment): text for segment, text in segments.items()}
                info = {texts.KEY: texts.write(path, own)}
                arrays = {"frames": random.normal(size=(SECONDS, WIDTH))}
                store.append(f"talk-{video}", arrays, duration=SECONDS, info=info)
        (path / "collection.json").write_text('{"name": "spoken", "format": 1}')
        build(BuildConfig(collection=path, shards=2, device="cpu"))
        return Spoken(path, found)

    def found(self, channel: str, query: str) -> list[Place]:
        """Return the segments that have a word of a query, best first, by one index of all."""
        places = sorted(self.texts[channel])
        documents = [self.texts[channel][place] for place in places]
        rows, _ = WordIndex.build(documents, Statistics.of(documents)).search(query, len(places))
        return [places[row] for row in rows.tolist()]

    def evaluated(self, query: str) -> list[tuple[int, float, float, float | None]]:
        """Return the moments, their times and scores, that an evaluation without a service finds."""
        found = Offline.open(self.path, device="cpu").answer(query)[REFINED]
        return [(int(one.video[-1]), one.start, one.end, one.score) for one in found]

    @staticmethod
    def ranks(moment: Moment, lists: dict[str, list[Place]]) -> dict[str, int]:
        """Return the best rank of a moment's segments in each list that it is in."""
        first, last = moment.proposal_start // 4, -(-moment.proposal_end // 4)
        inside = [(int(moment.video[-1]), segment) for segment in range(int(first), int(last))]
        found = {
            name: [at for at, one in enumerate(places) if one in inside] for name, places in lists.items()
        }
        return {name: several[0] for name, several in found.items() if several}


def _texts(video: int) -> Texts:
    """Return what is said every ten seconds, and what is written for five; nothing in the last video."""
    if video == 6:
        return Texts()
    said = [Line(at + 1.0, at + 3.5, SENTENCES[(video + at // 10) % 5]) for at in range(0, SECONDS, 10)]
    box = (0.25, 0.5, 0.75, 1.0)
    written = [Line(4.5 * video, 4.5 * video + 5.0, PLATES[video % 4], box)]
    return Texts(tuple(said), tuple(written), "en")
