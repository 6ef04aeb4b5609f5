"""The folders and URLs below which a request may name files."""

from collections.abc import Sequence
from pathlib import Path

from engine.config import LibraryConfig, Topology
from engine.errors import PermissionDenied, quoted
from trainer.ingest import media
from trainer.ingest.scan import Survey

_FILE = "file://"
_OUTSIDE = "it lies outside of the library's roots"


class Roots:
    """Where files may lie that a request names. given: folders and URLs; None: anywhere.

    Symbolic links are followed before a path is compared.
    """

    def __init__(self, given: Sequence[str] | None) -> None:
        named = [one.removeprefix(_FILE) for one in given or ()]
        self._folders = None if given is None else [Path(one).resolve() for one in named if "://" not in one]
        self._urls = [one.rstrip("/") for one in named if "://" in one]

    def check(self, field: str, location: str) -> None:
        """Raise PermissionDenied unless a path or URL of a request's field lies below a root."""
        if self._folders is None or self._has(location):
            return
        there = ", ".join([*map(str, self._folders), *self._urls]) or "none"
        raise PermissionDenied(
            f"{field} {quoted(location)} lies outside of the roots that the library may use ({there}); write "
            "its folder into roots of [library] in the topology",
            "OUTSIDE_ROOTS",
        )

    def within(self, found: Survey) -> Survey:
        """Return what was found without the files that links lead out of the roots."""
        inside = {file.path: self._has(media.shown(file.path)) for file in found.found}
        found.found = found.found.only(lambda file: inside[file.path])
        found.left_out += [(path, _OUTSIDE) for path, kept in inside.items() if not kept]
        return found

    def _has(self, location: str) -> bool:
        if self._folders is None:
            return True
        location = location.removeprefix(_FILE)
        if "://" not in location:
            path = Path(location).resolve()
            return any(path.is_relative_to(folder) for folder in self._folders)
        # `..` and chained URLs (::) are for a file system to read: none of them is compared.
        plain = ".." not in location.split("/") and "::" not in location
        return plain and any(location == root or location.startswith(f"{root}/") for root in self._urls)


def roots_of(topology: Topology, library: LibraryConfig) -> Roots:
    """Return the roots of a topology: without any, requests name all files, or none with [access]."""
    if not library.roots and topology.access is None:
        return Roots(None)
    beside = topology.path.parent
    given = [one if "://" in one else str(beside / one) for one in library.roots]
    # What is watched is added by jobs, too.
    return Roots([*given, *library.watch])
