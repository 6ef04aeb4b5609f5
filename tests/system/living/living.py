"""A service whose collections change, what its operator types, and what it is to answer."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from engine import merge, versions
from engine.corpus import open_corpus
from engine.proposals import propose
from engine.queries import SearchOptions
from engine.ranking import ordered
from engine.types import RankQuery
from spr_cli.main import cli
from spr_client import Client, SearchError, SearchResult
from tests import numeric
from tests.system.living.observing import Collector
from tests.system.searching import searching, whole
from tests.system.service import Service, until
from tests.workers.ranker.factories import TEXTS
from workers.index.shard import ShardOpener
from workers.ranker.models import Models


@dataclass
class Living:
    """A running service. home: what it was made of. collections: their directories by name.

    topology: its file. traces: what it sends of traced calls.
    """

    home: Path
    service: Service
    collections: dict[str, Path]
    topology: Path = Path()
    traces: Collector = field(default_factory=Collector)

    def client(self, collection: str = "") -> Client:
        return Client(self.service.address, collection=collection)

    def admin(self, *arguments: object, code: int | None = 0) -> Any:
        """Run a command of `spr admin` with --json; return what it printed."""
        return spr("admin", *arguments, "--address", self.service.ready["admin"], "--json", code=code)

    @contextmanager
    def unharmed(self, collection: str = "") -> Iterator[list[SearchResult | SearchError]]:
        """Search all the time: no search may fail or be degraded."""
        with searching(self.service.address, 1, collection) as told:
            until(lambda: told)
            yield told
            answered = len(told)
            until(lambda: len(told) > answered + 1)
        assert [error for error in told if isinstance(error, SearchError)] == []
        assert not any(result.coverage.degraded for result in told if isinstance(result, SearchResult))

    def served(self, collection: str = "") -> str:
        """Return the version that a search is answered from now, "" where none is answered in full."""
        with self.client(collection) as client:
            found = whole(client)
        return found.generation if found else ""

    def until_served(self, version: str, collection: str = "") -> None:
        until(lambda: self.served(collection) == version)

    def shown(self, collection: str = "") -> set[str]:
        """Return the videos of all pages of an answer: in a few segments every video has a moment."""
        with self.client(collection) as client:
            return {moment.video for page in client.pages(TEXTS[0], page_size=3) for moment in page.moments}

    def check_answers(self, collection: str) -> None:
        """Compare with the same search in this process, over the current version as it lies on disk."""
        directory = self.collections[collection]
        self.until_served(versions.current(directory), collection)
        found, expected = self.moments(collection), oracle(directory)
        assert [one[:1] for one in found] == [one[:1] for one in expected]
        numeric.close([one[1:] for one in found], [one[1:] for one in expected])

    def moments(self, collection: str = "") -> list[tuple[str, float, float, float]]:
        with self.client(collection) as client:
            result = client.search(TEXTS[1], page_size=100)
        assert not result.coverage.degraded
        return [(one.video, one.start, one.end, one.score) for one in result.moments]


def oracle(directory: Path) -> list[tuple[str, float, float, float]]:
    """Search for TEXTS[1] without any server."""
    corpus = open_corpus(directory)
    models = Models.open(directory, device="cpu")
    (query,) = models.encode([TEXTS[1]])
    shards = [ShardOpener(shard.name, "cpu")(corpus) for shard in corpus.version.shards]
    hits = merge.top_k([shard.search(query.embedding[None], 200)[0] for shard in shards], 200)
    length = corpus.version.segment_length
    proposals = propose(hits, corpus.catalogue.durations, length, SearchOptions().rule)
    (ranked,) = models.ranker.rank_many([RankQuery.of(query, proposals)], models.features)
    best = ordered(proposals, ranked)
    names = [corpus.catalogue.ids[video] for video in best.videos]
    return [
        (name, *map(float, (*span, score)))
        for name, span, score in zip(names, best.spans, best.scores, strict=True)
    ]


def spr(*arguments: object, code: int | None = 0) -> Any:
    """Run a command that prints JSON; return its last line. code: None for any."""
    done = CliRunner().invoke(cli, [*map(str, arguments)])
    assert code in (None, done.exit_code), (arguments, done.output, done.exception)
    return json.loads(done.stdout.splitlines()[-1])
