"""The sources of a topology's collections, as one of its processes opens them."""

from pathlib import Path

from engine.config import Topology
from engine.mirror import Mirror
from engine.places import open_place
from engine.sources import Here, Source, Wants


def sources_of(topology: Topology, wants: Wants) -> dict[Path, Source]:
    """Return the source of each collection by its directory. wants: what the process reads of them."""

    def source(home: Path) -> Source:
        url = topology.urls.get(home)
        return Mirror(open_place(url), home, topology.cache_bytes, wants) if url else Here(home)

    return {home: source(home) for home in topology.directories}
