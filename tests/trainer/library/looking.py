"""What a state that a power cut left is looked at for."""

import itertools
from collections.abc import Mapping
from pathlib import Path

from engine import versions
from tests.trainer.library.living import Content, Fresh, Searcher, features_of, ingested, store
from trainer.library.adding import add
from trainer.library.kits import Kits
from trainer.library.verify import verify

Videos = Mapping[str, Content]
BUILT: dict[str, Content] = {"b": (2, 5), "d": (4, 9)}
NEW: dict[str, Content] = {"c": (6, 6)}
# Writing goes on: tried in every so many states, for it takes ten times what looking does.
OFTEN = 6


class Looking:
    """Looks at states. worlds: the videos of every version, by number."""

    def __init__(self, built: Path, worlds: Mapping[int, Videos]) -> None:
        self.worlds = worlds
        self._fresh = Fresh(Kits("cpu").of(Searcher(built).corpus()))
        self._count = itertools.count()
        self._answers: dict[int, object] = {}

    def whole(self, found: Path) -> int:
        """Check that all that is there is whole, and that the current version answers right; its number."""
        assert verify(found) == []
        searcher = Searcher(found)
        corpus = searcher.corpus()
        number = corpus.version.number
        videos = self.worlds[number]
        if number not in self._answers:
            self._answers[number] = self._fresh.answers(videos, 100)
        assert searcher.answers(corpus, 100) == self._answers[number]
        assert searcher.features(corpus) == features_of(videos)
        return number

    def stores(self, found: Path, *wanted: Videos) -> None:
        """Check that the feature store has one of these sets of videos."""
        assert store(found, "r").ids() in [sorted(one) for one in wanted]

    def goes_on(self, found: Path) -> None:
        """Check that a video can be added, and that every byte is right then."""
        if next(self._count) % OFTEN:
            return
        before = self.worlds[versions.read(found).number]
        ingested(found, {"z": (8, 4)})
        add(found, ["z"], Kits("cpu"))
        assert verify(found) == []
        searcher = Searcher(found)
        assert searcher.features(searcher.corpus()) == features_of({**before, "z": (8, 4)})
