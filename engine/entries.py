"""The schema of part.json and of versions/N.json."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from engine.errors import Mismatch
from engine.types import Ordinals
from engine.values import LATER


@dataclass(frozen=True, slots=True)
class EncoderEntry:
    """The encoder the features came from: its hub name (and revision) or directory, and its fingerprint.

    path: where its copy lies, relative to the collection; "" where the collection has none.
    """

    source: str
    fingerprint: str
    path: str = ""


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """A trained model: its directory (relative to the collection when inside it) and its fingerprint."""

    path: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class StreamEntry:
    """One feature stream of the ranker's context: row width, seconds a row, element type."""

    dim: int
    step: float
    dtype: str


@dataclass(frozen=True, slots=True)
class SearchEntry:
    """The index's recall and latency, measured at build time.

    recall: recall@depth against exact search. queries: number of queries, of which `real` are the
    collection's own and the others perturbed segments. factor: candidates re-ranked per hit; nprobe: inverted
    lists probed, 0 without lists. milliseconds: median latency of one query on one thread, over the largest
    shard.
    """

    recall: float
    depth: int
    queries: int
    real: int
    factor: int
    nprobe: int
    milliseconds: float


@dataclass(frozen=True, slots=True)
class TextsEntry:
    """How what is said and written is searched, in all parts of a version alike.

    lexicon_sha256: of the frozen word statistics, in quantizers/ as the trained indexes are. encoder: of
    sentences, None where texts are sought by their words alone; dim, factory, quantizer_sha256: of its
    vectors, 0 and "" without. weights: of the ranked lists in the fusion, "seen" and "said.words", ...;
    empty: the default ones. usual_cosine: the mean one of a text that is asked and another, 0 without.
    centre_sha256: of what vectors have in common and are less, in quantizers/ too; "": they are as encoded.
    """

    lexicon_sha256: str
    encoder: EncoderEntry | None = None
    dim: int = 0
    factory: str = ""
    quantizer_sha256: str = ""
    weights: Mapping[str, float] = field(default_factory=dict)
    usual_cosine: float = 0.0
    centre_sha256: str = field(default="", metadata=LATER)


@dataclass(frozen=True, slots=True)
class FileEntry:
    """A file's checksum and size."""

    sha256: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Part:
    """part.json: what an immutable part of one shard holds, and the checksum of every file of it.

    id: set by `parts.seal`, a hash of the content. embedding_model, dim, segment_length (seconds), metric,
    quantizer_sha256: of the vectors; parts meet in one version only where these agree. ranker: the
    fingerprint of the model that encoded the stored contexts, `contexts` their element type; both "" without.
    factory: FAISS's name of the index; code: the four letters its file begins with; faiss: the version that
    wrote it.
    """

    id: str
    embedding_model: str
    dim: int
    segment_length: float
    factory: str
    code: str
    faiss: str
    quantizer_sha256: str
    ranker: str
    contexts: str
    videos: int
    segments: int
    streams: Mapping[str, StreamEntry]
    files: Mapping[str, FileEntry]
    metric: str = "ip"

    def files_of(self, folder: str) -> list[str]:
        """Return the files below a folder of the part ("index", "context", "encoded")."""
        return sorted(name for name in self.files if name.startswith(f"{folder}/"))

    @property
    def bytes(self) -> int:
        """Size of all files."""
        return sum(entry.bytes for entry in self.files.values())


@dataclass(frozen=True, slots=True)
class PartEntry:
    """A part as a version lists it.

    sha256: the checksum that part.json gives itself. videos, segments: of the part, deleted ones included.
    deleted: the part's deleted videos as runs, first and count in turn: (3, 2) are videos 3 and 4.
    """

    id: str
    sha256: str
    videos: int
    segments: int
    deleted: tuple[int, ...] = ()

    def deleted_videos(self) -> Ordinals:
        """Return the numbers (n,) of the deleted videos inside the part, ascending."""
        firsts, counts = self.deleted[0::2], self.deleted[1::2]
        runs = [
            np.arange(first, first + count, dtype=np.int32)
            for first, count in zip(firsts, counts, strict=True)
        ]
        return np.concatenate([np.zeros(0, np.int32), *runs])


def runs_of(videos: Iterable[int]) -> tuple[int, ...]:
    """Return distinct numbers as runs, first and count in turn.

    >>> runs_of([4, 3, 9])
    (3, 2, 9, 1)
    """
    runs: list[int] = []
    for video in sorted(set(videos)):
        if runs and video == runs[-2] + runs[-1]:
            runs[-1] += 1
        else:
            runs += [video, 1]
    return tuple(runs)


@dataclass(frozen=True, slots=True)
class ShardEntry:
    """One shard of a version: its name, its living videos and segments, its parts."""

    name: str
    videos: int
    segments: int
    parts: tuple[PartEntry, ...] = ()


@dataclass(frozen=True, slots=True)
class Version:
    """versions/N.json: everything that must agree before it is served; segment_length in seconds.

    id: number and hash of the content, set by `versions.commit`. parent: the version it was made from, ""
    for none. reason: what made it: build, add, delete, compact, restore, migrate. videos, segments: living
    ones. quantizer_sha256: the trained, empty index that large parts are copies of, in quantizers/.
    sources: fingerprint of all inputs of a build, by which an equal build is found and reused; "" for others.
    settings: the build's settings, the defaults of the next one. texts: None where no texts are searched.
    clip_encoder: of the index's vectors, None where they are made of the encoder's frames.
    """

    id: str
    number: int
    parent: str
    reason: str
    created: str
    collection: str
    encoder: EncoderEntry
    projector: ModelEntry | None
    ranker: ModelEntry | None
    embedding_model: str
    dim: int
    segment_length: float
    factory: str
    quantizer_sha256: str
    videos: int
    segments: int
    shards: tuple[ShardEntry, ...]
    streams: Mapping[str, StreamEntry]
    metric: str = "ip"
    contexts: str = ""
    search: SearchEntry | None = None
    sources: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    texts: TextsEntry | None = field(default=None, metadata=LATER)
    clip_encoder: EncoderEntry | None = field(default=None, metadata=LATER)

    @property
    def features(self) -> str:
        """Return the name of the features that it was built of."""
        clips = self.clip_encoder.fingerprint if self.clip_encoder is not None else ""
        return features_of(self.encoder.fingerprint, clips)

    @property
    def index_encoder(self) -> EncoderEntry:
        """Return the encoder whose texts are compared with the index's vectors."""
        return self.clip_encoder or self.encoder

    @property
    def parts(self) -> tuple[PartEntry, ...]:
        """Return the parts of all shards."""
        return tuple(part for shard in self.shards for part in shard.parts)


def features_of(encoder: str, clip_encoder: str = "") -> str:
    """Name the features of an encoder, or of one of frames and one of clips, by their fingerprints."""
    return f"{encoder}-{clip_encoder}" if clip_encoder else encoder


def refuse(message: str) -> Mismatch:
    """Return the error for damaged files of a collection."""
    return Mismatch(message, reason="GENERATION_CORRUPT")
