"""Puts the public messages beside the client: from the repository, or from a source distribution of it."""

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SHARED = ("__init__.py", "py.typed", "v1")


class Messages(BuildHookInterface[Any]):
    """Adds the package `spr`, which a source distribution holds and the repository has elsewhere."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Name what is to be included; in a source distribution it lies beside the client."""
        own = Path(self.root) / "spr"
        source = own if own.is_dir() else Path(self.root).parents[1] / "protos" / "spr"
        build_data["force_include"].update({str(source / name): f"spr/{name}" for name in SHARED})
