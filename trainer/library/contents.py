"""What a version needs besides its parts: the trained quantizer, its models, and small files beside them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from engine import names, versions
from engine.entries import Version
from engine.errors import InvalidInput, NotFound
from engine.files import read_name
from trainer.generation.frozen import frozen_files
from trainer.ingest import kept

CHOSEN = "CURRENT"  # names the model of its folder that the next build takes
# Small files that may change: copied whole, each time.
_SMALL = (
    "collection.json",
    names.FILE,
    "annotations/*.json",
    f"models/*/{CHOSEN}",
    "transcripts/*.vtt",
    "screen/*.vtt",
)


@dataclass(frozen=True, slots=True)
class Item:
    """A file to copy. name: relative to the collection. immutable: the same size means the same bytes.

    lasting: it stays as long as the version does.
    """

    path: Path
    name: str
    immutable: bool = True
    lasting: bool = True


def items_of(collection: Path, version: Version) -> list[Item]:
    """Return all files besides the parts; InvalidInput for a model that lies outside the collection."""
    models = _of_models(collection, version)
    return [*_of_frozen(collection, version), *models, *_of_small(collection), *_of_videos(collection)]


def may_lack(path: Path, version: Version) -> bool:
    """Tell whether a version can do without one of its `frozen_files`: a migrated one has none."""
    return path.name == f"{version.quantizer_sha256[:16]}.faiss"


def _of_frozen(collection: Path, version: Version) -> Iterator[Item]:
    for path in frozen_files(collection, version):
        if path.is_file():
            yield Item(path, str(path.relative_to(collection)))
        elif not may_lack(path, version):
            raise NotFound(f"{path}, of version {version.id}, does not exist: restore it first.")


def _of_models(collection: Path, version: Version) -> Iterator[Item]:
    home, folders = collection.resolve(), list[Path]()
    for kind, entry in versions.models_of(version):
        folder = versions.model_path(collection, entry)
        if not folder.is_relative_to(home):
            message = f"the {kind} of version {version.id} lies outside the collection, in {folder}: "
            raise InvalidInput(message + "copy it into models/ and build again.")
        if not folder.is_dir():
            raise NotFound(f"{folder}, the {kind} of version {version.id}, does not exist: restore it first.")
        folders.append(folder)
    for folder in dict.fromkeys([*folders, *chosen(home)]):
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            yield Item(path, str(path.relative_to(home)))


def chosen(collection: Path) -> list[Path]:
    """Return the folders of the models that the next build takes: those of this version may be older."""
    named = [(path.parent, read_name(path)) for path in sorted(collection.glob(f"models/*/{CHOSEN}"))]
    return [folder / name for folder, name in named if inside(name) and (folder / name).is_dir()]


def inside(name: str) -> bool:
    """Tell whether a name is of a folder in another, and leads nowhere else."""
    return bool(name) and "/" not in name and not name.startswith(".")


def _of_small(collection: Path) -> Iterator[Item]:
    for pattern in _SMALL:
        for path in sorted(collection.glob(pattern)):
            yield Item(path, str(path.relative_to(collection)), immutable=False, lasting=False)


def _of_videos(collection: Path) -> Iterator[Item]:
    """Yield pictures and texts: their names are of what they show."""
    for directory, _, _ in kept.KINDS:
        for path in sorted((collection / directory).glob("[!.]*")):
            yield Item(path, str(path.relative_to(collection)), lasting=False)
