"""What a version needs besides its parts: the trained quantizer, its models, and small files beside them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from engine import names, versions
from engine.entries import EncoderEntry, ModelEntry, Version
from engine.errors import InvalidInput, NotFound
from trainer.ingest import kept

QUANTIZERS = "quantizers"
# Small files that may change: copied whole, each time.
_SMALL = (
    "collection.json",
    names.FILE,
    "annotations/*.json",
    "models/*/CURRENT",
    "transcripts/*.vtt",
    "screen/*.vtt",
)


@dataclass(frozen=True, slots=True)
class Item:
    """A file to copy. name: relative to the collection. immutable: the same size means the same bytes."""

    path: Path
    name: str
    immutable: bool = True


def items_of(collection: Path, version: Version) -> list[Item]:
    """Return all files besides the parts; InvalidInput for a model that lies outside the collection."""
    models = _of_models(collection, version)
    return [*_of_quantizer(collection, version), *models, *_of_small(collection), *_of_videos(collection)]


def model_folders(version: Version) -> list[tuple[str, ModelEntry | EncoderEntry]]:
    """Return the kind and entry of every model that lies on disk; an encoder may be a hub's name alone."""
    entries: list[tuple[str, ModelEntry | EncoderEntry | None]] = [
        ("encoder", version.encoder if version.encoder.path else None),
        ("projector", version.projector),
        ("ranker", version.ranker),
    ]
    return [(kind, entry) for kind, entry in entries if entry is not None]


def quantizer_path(collection: Path, version: Version) -> Path:
    """Return the file of a version's trained, empty index."""
    return collection / QUANTIZERS / f"{version.quantizer_sha256[:16]}.faiss"


def _of_quantizer(collection: Path, version: Version) -> Iterator[Item]:
    path = quantizer_path(collection, version)
    if path.is_file():
        yield Item(path, str(path.relative_to(collection)))


def _of_models(collection: Path, version: Version) -> Iterator[Item]:
    home = collection.resolve()
    for kind, entry in model_folders(version):
        folder = versions.model_path(collection, entry)
        if not folder.is_relative_to(home):
            message = f"the {kind} of version {version.id} lies outside the collection, in {folder}: "
            raise InvalidInput(message + "copy it into models/ and build again.")
        if not folder.is_dir():
            raise NotFound(f"{folder}, the {kind} of version {version.id}, does not exist: restore it first.")
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            yield Item(path, str(path.relative_to(home)))


def _of_small(collection: Path) -> Iterator[Item]:
    for pattern in _SMALL:
        for path in sorted(collection.glob(pattern)):
            yield Item(path, str(path.relative_to(collection)), immutable=False)


def _of_videos(collection: Path) -> Iterator[Item]:
    """Yield pictures and texts: their names are of what they show."""
    for directory, _, _ in kept.KINDS:
        for path in sorted((collection / directory).glob("[!.]*")):
            yield Item(path, str(path.relative_to(collection)))
