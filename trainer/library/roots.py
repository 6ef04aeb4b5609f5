"""Where files may lie that a job names."""

from collections.abc import Sequence
from pathlib import Path

from engine.errors import InvalidInput, quoted


class Roots:
    """Directories and URLs, below which a job's paths must lie; any path is allowed where there are none."""

    def __init__(self, roots: Sequence[str]) -> None:
        self._urls = [root.rstrip("/") for root in roots if "://" in root]
        self._folders = [Path(root).resolve() for root in roots if "://" not in root]

    def check(self, place: str, field: str) -> None:
        """Refuse (InvalidInput PATH_NOT_ALLOWED) a path or URL that lies elsewhere, links followed."""
        if not (self._urls or self._folders) or self._holds(place):
            return
        there = ", ".join([*map(str, self._folders), *self._urls])
        raise InvalidInput(
            f"{field} names {quoted(place)}, jobs may name what lies in {there} only: put it there, or write "
            "its folder into roots of [library]",
            "PATH_NOT_ALLOWED",
            field,
        )

    def _holds(self, place: str) -> bool:
        if "://" in place and not place.startswith("file://"):
            parts = place.split("/")
            below = any(place == root or place.startswith(f"{root}/") for root in self._urls)
            return below and ".." not in parts
        path = Path("/" + place.removeprefix("file://").lstrip("/")) if "://" in place else Path(place)
        return any(path.resolve().is_relative_to(folder) for folder in self._folders)
