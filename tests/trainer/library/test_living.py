"""Any order of add, replace, delete, compact, crash and restart gives the answers of a fresh build.

The model is a dict of videos. The writer and the index workers' search are the real ones.
"""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from engine import staging, versions
from engine.corpus import open_corpus
from tests.trainer.library.living import (
    Content,
    Fresh,
    Searcher,
    collection,
    contexts,
    copied,
    features_of,
    ingested,
    ranked,
)
from trainer.library import policy
from trainer.library.adding import add
from trainer.library.compacting import compact, tidy
from trainer.library.deleting import delete
from trainer.library.kits import Kits

BUILT: dict[str, Content] = {"b": (1, 9), "d": (2, 14), "f": (3, 5)}
VIDEOS = ["a", "b", "c", "d", "e", "f", "g"]
NAMES = st.sampled_from(VIDEOS)
CONTENTS = st.tuples(st.integers(1, 4), st.integers(4, 13))
# Fewer than there may be otherwise, so that short sequences reach it.
MOST = 3
MEMORY = Path("/dev/shm")  # syncs nothing: power cuts are another test's
# Where a process dies: before or after a function of the writer.
DEATHS = [
    (staging, "_publish", "before"),
    (versions, "commit", "before"),
    (versions, "activate", "before"),
    (versions, "activate", "after"),
]


class Died(Exception):
    """The process ends here."""


@contextmanager
def death(where: int) -> Iterator[None]:
    """Let the process die at a place, leaving what a killed one leaves."""
    module, name, when = DEATHS[where]
    real = getattr(module, name)

    def dying(*given: object) -> None:
        if when == "after":
            real(*given)
        raise Died

    with patch.object(module, name, dying):
        yield


class Living(RuleBasedStateMachine):
    home: Path
    fresh: Fresh
    kits: Kits
    ranked = False  # whether parts store contexts, which are compared too
    encoded: ClassVar[dict[Content, bytes]] = {}

    def __init__(self) -> None:
        super().__init__()
        self.path = copied(self.home / "built", self.home / "c")
        self.restart()
        self.stored = dict(BUILT)
        self.served = dict(BUILT)

    def teardown(self) -> None:
        shutil.rmtree(self.path)

    def dying(self, where: int | None, change: Callable[[], object], then: dict[str, Content]) -> bool:
        """Make a change, dying on the way where `where` says so; tell whether it came to its end."""
        if where is None:
            change()
            self.served = then
            return True
        with death(where):
            try:
                change()
            except Died:
                (self.path / "parts" / ".building-1-1").mkdir(exist_ok=True)
                # What the dying process made is there as a whole or not at all.
                if self.searcher.features(self.searcher.corpus()) == features_of(then):
                    self.served = then
                self.restart()
                return False
        self.served = then
        return True

    @rule(
        videos=st.dictionaries(NAMES, CONTENTS, min_size=1, max_size=3), where=st.none() | st.integers(0, 3)
    )
    def add(self, videos: dict[str, Content], where: int | None) -> None:
        ingested(self.path, videos)
        self.stored |= videos
        self.dying(where, lambda: add(self.path, videos, self.kits), self.served | videos)

    @rule()
    def add_all_again(self) -> None:
        add(self.path, self.stored, self.kits)
        self.served = dict(self.stored)

    @precondition(lambda self: self.served)
    @rule(data=st.data(), where=st.none() | st.integers(0, 3))
    def delete(self, data: st.DataObject, where: int | None) -> None:
        gone = data.draw(st.sets(st.sampled_from(sorted(self.served)), min_size=1, max_size=3))
        then = {video: content for video, content in self.served.items() if video not in gone}
        if self.dying(where, lambda: delete(self.path, sorted(gone)), then):
            self.stored = {video: content for video, content in self.stored.items() if video not in gone}
        else:
            delete(self.path, sorted(gone), again=True)
            self.served = then
            self.stored = {video: content for video, content in self.stored.items() if video not in gone}

    @rule(where=st.none() | st.integers(0, 3))
    def compact(self, where: int | None) -> None:
        self.dying(where, lambda: compact(self.path), self.served)

    @rule(data=st.data())
    def compact_some(self, data: st.DataObject) -> None:
        shards = [shard for shard in self.searcher.corpus().version.shards if shard.parts]
        if shards:
            shard = data.draw(st.sampled_from(shards))
            parts = data.draw(st.sets(st.sampled_from([part.id for part in shard.parts]), min_size=1))
            compact(self.path, shard.name, parts)

    @rule()
    def tidy(self) -> None:
        while tidy(self.path) is not None:
            pass

    @rule()
    def restart(self) -> None:
        self.kits = Kits("cpu")
        self.searcher = Searcher(self.path)

    @invariant()
    def answers_are_those_of_a_fresh_build(self) -> None:
        corpus = self.searcher.corpus()
        assert self.searcher.answers(corpus, 3, 1000) == self.fresh.answers(self.served, 3, 1000)
        assert self.searcher.features(corpus) == features_of(self.served)
        if self.ranked:
            for video, stored in contexts(corpus).items():
                # A video's are the same wherever it lies: those of the build, or of where it came first.
                assert stored == self.encoded.setdefault(self.served[video], stored)
        assert all(len(shard.parts) <= MOST for shard in corpus.version.shards)


def run(monkeypatch: pytest.MonkeyPatch, sequences: int, steps: int, *more: Phase) -> None:
    monkeypatch.setattr(policy, "MOST", MOST)
    chosen = settings(
        max_examples=sequences,
        stateful_step_count=steps,
        deadline=None,
        phases=(Phase.explicit, Phase.reuse, Phase.generate, *more),
        suppress_health_check=list(HealthCheck),
    )
    folder = MEMORY if MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="spr-living-", dir=folder) as home:
        Living.home, Living.ranked = Path(home), bool(more)
        if Living.ranked:
            ranked(Living.home / "built")
        built = collection(Living.home / "built", BUILT)
        Living.fresh = Fresh(Kits("cpu").of(open_corpus(built)))
        run_state_machine_as_test(Living, settings=chosen)


def test_any_order_gives_the_answers_of_a_fresh_build(monkeypatch: pytest.MonkeyPatch) -> None:
    run(monkeypatch, 80, 5)


@pytest.mark.nightly
@pytest.mark.timeout(7200)
def test_any_long_order_gives_the_answers_of_a_fresh_build(monkeypatch: pytest.MonkeyPatch) -> None:
    run(monkeypatch, 5000, 25, Phase.shrink)
