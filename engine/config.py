"""The topology: one TOML file that says which processes run where.

collection = "collection"          # directory, relative to this file
collections = ["lectures"]         # more collections that the same processes serve

[coordinator]
listen = "127.0.0.1:7400"
[[index]]
shard = 0
listen = "127.0.0.1:7410"          # another [[index]] with the same shard is its replica
[[ranker]]
listen = "127.0.0.1:7420"
"""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

from engine.errors import InvalidInput
from engine.files import read_toml
from engine.process_config import (
    CoordinatorConfig,
    IndexWorkerConfig,
    LibraryConfig,
    PageConfig,
    RankerWorkerConfig,
    reachable,
    shard_name,
)
from engine.servers import is_loopback
from engine.values import DERIVED, NonNegative, filled

__all__ = [
    "CoordinatorConfig",
    "IndexWorkerConfig",
    "LibraryConfig",
    "PageConfig",
    "RankerWorkerConfig",
    "Topology",
    "for_collection",
    "from_json",
    "parse",
    "reachable",
    "read",
    "select",
    "shard_name",
    "to_json",
]

LogLevel = Literal["debug", "info", "warning", "error"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Topology:
    """All processes of a service. `path` is the file it was read from.

    collection: the first collection; collections: further ones, each cut into as many shards or fewer.
    library: the process that adds and deletes; page: the web page's; None without one.

    hang_timeout: seconds without an answer after which a process is killed and restarted; 0: never.
    takeover: whether a coordinator starts while its predecessor still serves; never in a file.
    """

    path: Path = field(default=Path(), metadata=DERIVED)
    collection: Path
    collections: tuple[Path, ...] = ()
    log_level: LogLevel = "info"
    hang_timeout: NonNegative = 10.0
    takeover: bool = field(default=False, metadata=DERIVED)
    coordinator: CoordinatorConfig = field(default_factory=CoordinatorConfig)
    index: tuple[IndexWorkerConfig, ...] = ()
    ranker: tuple[RankerWorkerConfig, ...] = ()
    library: LibraryConfig | None = None
    page: PageConfig | None = None

    @property
    def directories(self) -> tuple[Path, ...]:
        """Return the directories of all collections, the first one first."""
        return self.collection, *self.collections


Part = TypeVar("Part", CoordinatorConfig, IndexWorkerConfig, RankerWorkerConfig, LibraryConfig, PageConfig)


def read(path: Path) -> Topology:
    """Read and check a topology file; InvalidInput names what is wrong in it."""
    try:
        values = read_toml(path)
    except FileNotFoundError:
        raise InvalidInput(f"{path} does not exist; write one as deploy/topology.example.toml") from None
    return parse(values, path)


def parse(values: Mapping[str, Any], path: Path) -> Topology:
    """Build a topology from the values of a file at `path`, relative to which its paths are."""
    if not isinstance(values.get("collection"), str):
        raise InvalidInput(f'{path} names no collection; write collection = "DIRECTORY" at its top')
    given = filled(Topology, values, str(path))
    topology = dataclasses.replace(
        given,
        path=path,
        collection=(path.parent / given.collection).resolve(),
        collections=tuple((path.parent / one).resolve() for one in given.collections),
        ranker=tuple(dataclasses.replace(r, name=f"ranker-{i}") for i, r in enumerate(given.ranker)),
    )
    _check(topology)
    return topology


def for_collection(collection: Path, shards: int, port: int, others: Sequence[Path] = ()) -> Topology:
    """Return a topology for one machine: the coordinator at `port`, all others, a library too, above.

    shards: of the collection that has most. others: further collections. The page is at port + 80, or behind
    the index workers where those are more than 70. InvalidInput if there are no ports.
    """
    page = port + max(80, 10 + shards)
    highest = page
    if not 1 <= port <= highest <= 65535:
        most = 65535 - (page - port)
        raise InvalidInput(f"port {port} leaves no ports for all processes; choose one of 1 to {most}")
    values = {
        "collection": str(collection.resolve()),
        "collections": [str(other.resolve()) for other in others],
        "coordinator": {"listen": f"127.0.0.1:{port}", "admin": f"127.0.0.1:{port + 1}"},
        "index": [{"shard": n, "listen": f"127.0.0.1:{port + 10 + n}"} for n in range(shards)],
        "ranker": [{"listen": f"127.0.0.1:{port + 2}"}],
        "library": {"listen": f"127.0.0.1:{port + 3}"},
        "page": {"listen": f"127.0.0.1:{page}"},
    }
    return parse(values, collection)


def to_json(topology: Topology) -> str:
    """Return a topology as one line, for a process that is started with it; see `from_json`."""
    values = dataclasses.asdict(topology)
    path, takeover = values.pop("path"), values.pop("takeover")
    for table in (values["coordinator"], *values["ranker"], values["library"] or {}, values["page"] or {}):
        table.pop("name", None)
    for optional in ("library", "page"):
        if values[optional] is None:
            del values[optional]
    return json.dumps({"path": path.resolve(), "takeover": takeover, "values": values}, default=str)


def from_json(text: str) -> Topology:
    """Return the topology of a line of `to_json`."""
    line = json.loads(text)
    return dataclasses.replace(parse(line["values"], Path(line["path"])), takeover=line["takeover"])


def select(choices: Sequence[Part], name: str | None, listen: str | None) -> Part:
    """Return the part with this name and address; a single part of a name may be moved to `listen`."""
    named = [one for one in choices if name in (None, one.name)]
    exact = [one for one in named if one.listen == listen] if listen else named
    if len(exact) == 1:
        return exact[0]
    if listen and len(named) == 1:
        return dataclasses.replace(named[0], listen=listen)
    there = ", ".join(f"{one.name} at {one.listen}" for one in choices) or "none"
    given = f"--name {name or '(any)'} --listen {listen or '(any)'}"
    raise InvalidInput(f"{given} does not name one worker; there are: {there}")


def _check(topology: Topology) -> None:
    if not topology.index:
        raise InvalidInput(f"{topology.path} has no [[index]]; every shard needs one")
    if not topology.ranker:
        raise InvalidInput(f"{topology.path} has no [[ranker]]; it encodes the queries")
    all_parts: list[Any] = [topology.coordinator, *topology.index, *topology.ranker]
    all_parts += [part for part in (topology.library, topology.page) if part]
    listens = [topology.coordinator.admin, *(one.listen for one in all_parts)]
    for listen in listens:
        _check_address(listen, topology.path)
        if listens.count(listen) > 1 and not listen.endswith(":0"):
            raise InvalidInput(f"{topology.path} gives {listen} to two processes; give each its own port")
    _check_page(topology)


def _check_page(topology: Topology) -> None:
    """Refuse a page that other machines reach. The place to ask whether access control is configured."""
    page = topology.page
    if page and not page.insecure and not is_loopback(page.listen.rpartition(":")[0]):
        raise InvalidInput(
            f"{topology.path}: other machines would reach the page at {page.listen}, and nothing asks who "
            "they are; listen at 127.0.0.1 behind a proxy that does, or write insecure = true under [page]"
        )


def _check_address(listen: str, path: Path) -> None:
    _, separator, port = listen.rpartition(":")
    if not separator or not port.isdigit() or int(port) > 65535:
        raise InvalidInput(f"{path}: listen is {listen!r}; write HOST:PORT")
