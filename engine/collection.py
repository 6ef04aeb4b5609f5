"""The generation that a coordinator serves: manifest and catalogue, loaded at start."""

from dataclasses import dataclass
from pathlib import Path

from engine import manifest as manifests
from engine.catalogue import CATALOGUE, Catalogue
from engine.config import Topology
from engine.errors import InvalidInput, SprError
from engine.manifest import Manifest


@dataclass(frozen=True, slots=True)
class Collection:
    """A collection at one generation. directory: the collection's."""

    directory: Path
    manifest: Manifest
    catalogue: Catalogue

    @property
    def name(self) -> str:
        """The collection's name in the API."""
        return self.manifest.collection


def open_collection(topology: Topology) -> Collection:
    """Load a topology's generation; InvalidInput unless the topology names a worker for each shard."""
    directory = manifests.generation_dir(topology.collection, topology.generation)
    manifest = manifests.read(directory)
    manifests.verify(directory, manifest, [CATALOGUE])
    built = {shard.name for shard in manifest.shards}
    named = {worker.name for worker in topology.index}
    if built != named:
        raise InvalidInput(
            f"generation {manifest.id} has {_list(built)}, {topology.path} names {_list(named)}; "
            "write one [[index]] or more for each shard of the generation"
        )
    return Collection(topology.collection, manifest, Catalogue.open(directory))


def newest(collection: Collection) -> str:
    """Return the generation that CURRENT names now, empty if it names none."""
    try:
        return manifests.current(collection.directory).name
    except (SprError, OSError, ValueError):
        return ""


def _list(names: set[str]) -> str:
    return ", ".join(sorted(names)) or "no shards"
