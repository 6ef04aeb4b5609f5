"""Which versions a version descends from: whether what a job did is in what is searched."""

from pathlib import Path

from engine import versions
from engine.errors import SprError


class Lineage:
    """The parents of a collection's versions, each read once: a version never changes."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._parents: dict[str, str | None] = {}

    def includes(self, version: str, ancestor: str) -> bool:
        """Whether `ancestor` is `version` or one that it was made from. Reads files.

        A chain that ends in a removed version is taken to include what came before it.
        """
        at: str | None = version
        while at and at > ancestor:
            at = self._parent(at)
        return at is None or at == ancestor

    def _parent(self, version: str) -> str | None:
        """Return the id of a version's parent, "" for none, None where its file is gone."""
        if version not in self._parents:
            try:
                self._parents[version] = versions.read(self._directory, version).parent
            except SprError:
                return None
        return self._parents[version]
