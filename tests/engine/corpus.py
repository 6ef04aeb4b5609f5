"""A corpus of seeded noise, searched and ranked by brute force.

A sentence's vector is noise seeded by the sentence. A moment's refined span is the middle of its proposal,
its score the dot product of the sentence with the proposal's first segment.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from engine import parts, versions, words
from engine.catalogue import PartCatalogue
from engine.entries import EncoderEntry, ShardEntry, TextsEntry
from engine.facts import Facts
from engine.filters import Stretch
from engine.looks import NONE, Look, write_looks
from engine.part_texts import write_lines
from engine.staging import staged
from engine.texts import MEANING, TEXTS, WORDS, WRITTEN, Line, ListName, TextHits, TextsSought
from engine.types import Floats, Hits
from tests import plain

WHOLE = Stretch()
DIM, SEGMENT, MODEL, RANKER = 8, 4.0, plain.MODEL, "oracle@1"


def unit(rows: Floats) -> Floats:
    result: Floats = (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)
    return result


def sentence(text: str) -> Floats:
    return unit(np.random.default_rng(zlib.crc32(text.encode())).normal(size=DIM).astype(np.float32))


def fitting(text: str, sought: TextsSought, method: str) -> float:
    """Return the share of the query's words that a text has, or how near the meanings are, made up."""
    if method == MEANING:
        assert sought.sentence is not None
        return float(np.float32(sentence(text) @ sought.sentence))
    asked = set(words.terms(sought.text))
    return float(np.float32(len(asked & set(words.terms(text))) / len(asked)))


@dataclass
class Corpus:
    """Videos of 1..9 segments, the last of which may be cut short. version: its id, once written.

    texts: what is said and written, by channel, video and segment; None: a version that knows no texts.
    """

    videos: int = 12
    shards: int = 2
    seed: int = 0
    folder: str = "/videos"
    prefix: str = "video"
    name: str = "default"
    vectors: list[Floats] = field(default_factory=list)
    durations: list[float] = field(default_factory=list)
    version: str = ""
    facts: Facts | None = None
    looks: dict[int, Look] = field(default_factory=dict)
    texts: dict[str, dict[tuple[int, int], str]] | None = None

    def __post_init__(self) -> None:
        random = np.random.default_rng(self.seed)
        for _ in range(self.videos):
            n = int(random.integers(1, 10))
            self.vectors.append(unit(random.normal(size=(n, DIM)).astype(np.float32)))
            self.durations.append(float(n * SEGMENT - random.uniform(0, SEGMENT - 0.1)))

    def ids(self) -> list[str]:
        return [f"{self.prefix}-{i:03d}" for i in range(self.videos)]

    def of_shard(self, shard: int) -> list[int]:
        return [video for video in range(self.videos) if video % self.shards == shard]

    def write(self, directory: Path, parent: str = "", activate: bool = True) -> Path:
        """Write it as the next version of a collection, catalogues alone; return the collection's directory.

        The version is made from `parent`, an id, and is the current one unless `activate` is False.
        """
        shards = []
        for shard in range(self.shards):
            name, part = f"shard-{shard:05d}", self._write_part(directory, shard)
            if part is None:
                shards.append(ShardEntry(name, 0, 0))
                continue
            entry = parts.entry_of(directory, part)
            shards.append(ShardEntry(name, entry.videos, entry.segments, (entry,)))
        about = plain.version(
            parent=parent,
            reason="add" if parent else "build",
            collection=self.name,
            shards=tuple(shards),
            texts=None if self.texts is None else TextsEntry("0" * 64, EncoderEntry("s", "s"), DIM, "Flat"),
        )
        self.version = versions.commit(directory, about).id
        if activate:
            versions.activate(directory, self.version)
        return directory

    def _write_part(self, directory: Path, shard: int) -> str | None:
        videos, ids = self.of_shard(shard), self.ids()
        if not videos:
            return None
        with staged(directory) as staging:
            catalogue = PartCatalogue(
                ids=[ids[video] for video in videos],
                uris=[f"file://{self.folder}/{ids[video]}.mp4" for video in videos],
                durations=np.array([self.durations[video] for video in videos]),
                segments=np.array([len(self.vectors[video]) for video in videos], np.int32),
                facts=self.facts and self.facts.of(np.array(videos)),
            )
            catalogue.write(staging.path)
            write_looks(staging.path, [self.looks.get(video, NONE) for video in videos])
            if self.texts is not None:
                write_lines(staging.path, [self.lines(video) for video in videos])
                for channel in TEXTS:
                    (staging.path / channel).mkdir()
                    (staging.path / channel / "texts.json").write_text("{}")
            about = plain.part(videos=len(catalogue), segments=int(catalogue.segments.sum()))
            staging.id = parts.seal(staging.path, about).id
        return staging.id

    def lines(self, video: int) -> list[list[Line]]:
        """Return what is said and written in a video: a short line and the text itself."""
        found = []
        for channel in TEXTS:
            own = [(place, text) for place, text in (self.texts or {})[channel].items() if place[0] == video]
            box = (0.1, 0.2, 0.3, 0.4) if channel == WRITTEN else None
            spans = [(SEGMENT * segment, text) for (_, segment), text in sorted(own)]
            found.append(
                [
                    Line(at + more, at + 2 * more, said, box)
                    for at, text in spans
                    for more, said in ((0.5, "uh"), (1.5, text))
                ]
            )
        return found

    def search(self, vector: Floats, videos: Sequence[int], top_k: int, stretch: Stretch = WHOLE) -> Hits:
        """Return the best segments of some videos, or of a part of each, exhaustively."""
        rows = [
            (-float(row @ vector), video, segment)
            for video in videos
            for segment, row in enumerate(self.vectors[video])
            if not stretch or self._touches(stretch, video, segment)
        ]
        best = sorted(rows)[:top_k]
        columns: list[Any] = list(zip(*best, strict=True)) if best else [[], [], []]
        scores = -np.array(columns[0], np.float32)
        return Hits(np.array(columns[1], np.int32), np.array(columns[2], np.int32), scores)

    def _touches(self, stretch: Stretch, video: int, segment: int) -> bool:
        """Whether a part of a video, as long as it is, has something of a segment."""
        scale = self.durations[video] if stretch.shares else 1.0
        start, end = segment * SEGMENT, min((segment + 1) * SEGMENT, self.durations[video])
        return max(start, stretch.start * scale) < min(end, stretch.end * scale)

    def search_texts(self, sought: TextsSought, videos: Sequence[int], top_k: int, stretch: Stretch) -> Any:
        """Return the lists that the oracle of texts makes, exhaustively."""
        kinds = [WORDS] * bool(sought.text) + [MEANING] * (sought.sentence is not None)
        for name in (ListName(channel, kind) for channel in sought.channels for kind in kinds):
            rows = [
                (-fits, *place)
                for place, text in (self.texts or {}).get(name.channel, {}).items()
                if place[0] in videos and (not stretch or self._touches(stretch, *place))
                if (fits := fitting(text, sought, name.method))
            ]
            best = np.array(sorted(rows)[:top_k]).reshape(-1, 3)
            numbers = best[:, 1:].astype(np.int32)
            yield TextHits(name, Hits(numbers[:, 0], numbers[:, 1], -best[:, 0].astype(np.float32)))

    def judge(self, text: str, video: int, start: float, end: float) -> tuple[float, float, float]:
        """Return the refined start, end and score of a proposal."""
        quarter = (end - start) / 4
        return (
            start + quarter,
            end - quarter,
            float(self.vectors[video][int(start / SEGMENT)] @ sentence(text)),
        )
