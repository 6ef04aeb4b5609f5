"""What `spr serve` serves: a topology file, or collections on this machine."""

import contextlib
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from engine.config import Topology


def read_topology(
    topology: Path | None,
    collections: "Sequence[Path | str]",
    port: int,
    access: Path | None = None,
    roots: Sequence[str] = (),
) -> "Topology":
    """Read a topology file, or make the topology of collections' current versions."""
    from engine import config, versions
    from engine.errors import SprError
    from engine.mirrored import sources_of
    from engine.sources import Wants

    if topology is not None and collections:
        raise click.UsageError("name a topology file or a --collection, not both")
    if topology is not None:
        if access is not None or roots:
            message = "--access and --root are for --collection; write [access] into the topology file"
            raise click.UsageError(f"{message}, and roots into its [library]")
        return config.read(topology)
    if not collections:
        raise click.UsageError("name a topology file, or a collection with --collection")
    first, *others = collections
    # With one shard until the collections are known: where their directories or mirrors are.
    sources = sources_of(config.for_collection(first, 1, port, others, access, roots), Wants())
    shards: list[int] = []
    for source in sources.values():
        # One without a version is served as soon as it has one.
        with contextlib.suppress(*([SprError] if shards else [])), source.fetched("") as version:
            shards.append(len(versions.read(source.home, version).shards))
    return config.for_collection(first, max(shards), port, others, access, roots)


def with_page(topology: "Topology", page: str | None, no_page: bool) -> "Topology":
    """Return the topology with the page that the options ask for."""
    from engine import config

    if page is not None and no_page:
        raise click.UsageError("--page and --no-page exclude each other; give one of them")
    if no_page:
        return dataclasses.replace(topology, page=None)
    if page is None:
        return topology
    asked = dataclasses.replace(topology.page or config.PageConfig(), listen=page)
    # Read again: its address is checked beside all others.
    return config.from_json(config.to_json(dataclasses.replace(topology, page=asked)))
