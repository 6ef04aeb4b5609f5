"""The schema of a generation's manifest, and its validation."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.errors import InvalidInput, Mismatch


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
class ShardEntry:
    """One shard: the name of its directory and what it holds."""

    name: str
    videos: int
    segments: int


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
class FileEntry:
    """A file's checksum and size."""

    sha256: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """Everything that must agree before a generation is served; segment_length in seconds.

    id: set by `write`. sources: fingerprint of all inputs, by which an equal build is found and reused.
    settings: the build's settings, the defaults of the next one.
    """

    id: str
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
    files: Mapping[str, FileEntry]
    metric: str = "ip"
    search: SearchEntry | None = None
    sources: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)

    def files_of(self, folder: str) -> list[str]:
        """Return the files below a folder of the generation ("shard-00000", "context")."""
        return sorted(name for name in self.files if name.startswith(f"{folder}/"))


def check_values(manifest: Manifest, source: str) -> None:
    """Refuse (InvalidInput) values out of range, with the name of the field."""
    numbers: dict[str, float] = {
        "dim": manifest.dim,
        "segment_length": manifest.segment_length,
        "shards": len(manifest.shards),
    }
    for name, stream in manifest.streams.items():
        numbers |= {f"streams.{name}.dim": stream.dim, f"streams.{name}.step": stream.step}
    wrong = [f"{name} = {number}" for name, number in numbers.items() if not number > 0]
    counts = [(part.videos, part.segments) for part in manifest.shards]
    sums = (sum(videos for videos, _ in counts), sum(segments for _, segments in counts))
    if sums != (manifest.videos, manifest.segments):
        wrong.append(f"videos, segments = {manifest.videos}, {manifest.segments}, its shards have {sums}")
    wrong += [f"shards.{part.name}" for part in manifest.shards if min(part.videos, part.segments) < 0]
    wrong += [f"files.{name}" for name, entry in manifest.files.items() if _escapes(name) or entry.bytes < 0]
    if manifest.metric != "ip":
        wrong.append(f"metric = {manifest.metric!r}")
    if wrong:
        raise InvalidInput(f"{source}: no generation has {wrong[0]}.")


def _escapes(name: str) -> bool:
    return name.startswith("/") or ".." in name.split("/")


def refuse(message: str) -> Mismatch:
    """Return the error for a damaged generation."""
    return Mismatch(message, reason="GENERATION_CORRUPT")
