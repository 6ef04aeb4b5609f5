"""The topology: one TOML file that says which processes run where.

collection = "collection"          # directory, relative to this file
collections = ["s3://bucket/c"]    # more collections that the same processes serve, here or in a store

[coordinator]                      # [[coordinator]] for several
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

from engine import topology_checks
from engine.access import settings
from engine.access.settings import AccessConfig
from engine.errors import InvalidInput
from engine.files import read_toml
from engine.process_config import (
    METRICS_OFFSET,
    CoordinatorConfig,
    DiscoveryConfig,
    EncoderWorkerConfig,
    IndexWorkerConfig,
    LibraryConfig,
    PageConfig,
    RankerWorkerConfig,
    TracingConfig,
    reachable,
    shard_name,
)
from engine.urls import homes
from engine.values import DERIVED, Count, NonNegative, filled

__all__ = [
    "CoordinatorConfig",
    "EncoderWorkerConfig",
    "IndexWorkerConfig",
    "LibraryConfig",
    "PageConfig",
    "RankerWorkerConfig",
    "Topology",
    "TracingConfig",
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
    encoder: processes that encode queries, so that the rankers do not.
    library: the process that adds and deletes; page: the web page's; None without one.
    coordinators: all of them; coordinator: the one that a process is, elsewhere the first one.
    tracing: where traces go; None: nowhere.

    cache, cache_bytes: where collections behind URLs are mirrored, and the bytes of parts that each may have
    there; urls: theirs, by the directories of their mirrors.
    hang_timeout: seconds without answer and work after which a process is killed and restarted; 0: never.
    access: encryption and access control; None without.
    takeover: whether a coordinator starts while its predecessor still serves; insecure: whether processes may
    listen beyond this machine without [access]; never in a file.
    """

    path: Path = field(default=Path(), metadata=DERIVED)
    collection: Path
    collections: tuple[Path, ...] = ()
    urls: Mapping[Path, str] = field(default_factory=dict, metadata=DERIVED)
    cache: Path = Path()
    cache_bytes: Count = 100_000_000_000
    log_level: LogLevel = "info"
    hang_timeout: NonNegative = 10.0
    takeover: bool = field(default=False, metadata=DERIVED)
    insecure: bool = field(default=False, metadata=DERIVED)
    access: AccessConfig | None = None
    coordinator: CoordinatorConfig = field(default_factory=CoordinatorConfig, metadata=DERIVED)
    coordinators: tuple[CoordinatorConfig, ...] = field(default=(), metadata=DERIVED)
    index: tuple[IndexWorkerConfig, ...] = ()
    ranker: tuple[RankerWorkerConfig, ...] = ()
    encoder: tuple[EncoderWorkerConfig, ...] = ()
    library: LibraryConfig | None = None
    page: PageConfig | None = None
    tracing: TracingConfig | None = None
    discovery: DiscoveryConfig = field(default_factory=DiscoveryConfig)

    def __post_init__(self) -> None:
        if not self.coordinators:
            object.__setattr__(self, "coordinators", (self.coordinator,))

    @property
    def workers(self) -> tuple[IndexWorkerConfig | EncoderWorkerConfig, ...]:
        """Return the index and the ranker workers, and the encoders."""
        return *self.index, *self.ranker, *self.encoder

    @property
    def directories(self) -> tuple[Path, ...]:
        """Return the directories of all collections, the first one first."""
        return self.collection, *self.collections

    @property
    def listens(self) -> list[str]:
        """Return the addresses of all processes."""
        return [*(one.admin for one in self.coordinators), *(one.listen for one in self.parts)]

    @property
    def parts(self) -> list[Any]:
        """Return the tables of all processes."""
        return [*self.coordinators, *self.workers, *([self.library] if self.library else [])]


Part = TypeVar(
    "Part", bound=CoordinatorConfig | IndexWorkerConfig | EncoderWorkerConfig | LibraryConfig | PageConfig
)


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
    values = dict(values)
    coordinators = _coordinators(values.pop("coordinator", {}), str(path))
    given = filled(Topology, values, str(path))
    named = [values["collection"], *values.get("collections", ())]
    cache, urls, directories = homes(named, path.parent, given.cache)
    topology = dataclasses.replace(
        given,
        coordinator=coordinators[0],
        coordinators=coordinators,
        path=path,
        collection=directories[0],
        collections=tuple(directories[1:]),
        urls=urls,
        cache=cache,
        access=given.access and given.access.within(path.parent),
        ranker=tuple(dataclasses.replace(r, name=f"ranker-{i}") for i, r in enumerate(given.ranker)),
        encoder=tuple(dataclasses.replace(e, name=f"encoder-{i}") for i, e in enumerate(given.encoder)),
    )
    topology_checks.check(topology)
    return topology


def _coordinators(given: Any, source: str) -> tuple[CoordinatorConfig, ...]:
    """Read `[coordinator]`, or the tables of `[[coordinator]]`, numbered where there are several."""
    if isinstance(given, Mapping):
        return (filled(CoordinatorConfig, given, source, "coordinator."),)
    if not isinstance(given, list | tuple) or not all(isinstance(one, Mapping) for one in given) or not given:
        raise InvalidInput(f"{source}: coordinator is no table; write [coordinator] or [[coordinator]]")
    tables = [filled(CoordinatorConfig, one, source, f"coordinator[{i}].") for i, one in enumerate(given)]
    several = (dataclasses.replace(one, name=f"coordinator-{i}") for i, one in enumerate(tables))
    return tuple(tables if len(tables) == 1 else several)


def for_collection(
    collection: Path | str,
    shards: int,
    port: int,
    others: Sequence[Path | str] = (),
    access: Path | None = None,
    roots: Sequence[str] = (),
) -> Topology:
    """Return a topology for one machine: the coordinator at `port`, all others, a library too, above.

    collection, others: directories or URLs (str); there is no library where one is a URL. The page is at port
    + 80, or behind the index workers where those are more than 70; there is none with `access`, as it needs a
    token; the metrics of each are METRICS_OFFSET above its port. shards: of the collection that has most.
    access: a folder that `spr access` filled. roots: see LibraryConfig. InvalidInput if there are no ports.
    """
    page = port + max(80, 10 + shards)
    highest = page + METRICS_OFFSET
    if not 1 <= port <= highest <= 65535:
        most = 65535 - (highest - port)
        raise InvalidInput(f"port {port} leaves no ports for all processes; choose one of 1 to {most}")
    named = [one if isinstance(one, str) else str(one.resolve()) for one in (collection, *others)]
    values: dict[str, Any] = {
        "collection": named[0],
        "collections": named[1:],
        "coordinator": {"admin": f"127.0.0.1:{port + 1}", **_at(port)},
        "index": [{"shard": n, **_at(port + 10 + n)} for n in range(shards)],
        "ranker": [_at(port + 2)],
    }
    if all(isinstance(one, Path) for one in (collection, *others)):
        values["library"] = {"roots": list(roots), **_at(port + 3)}
    if access is None:
        values["page"] = _at(page)
    else:
        values["access"] = settings.of_folder(access.resolve())
    return parse(values, Path(collection))


def _at(port: int) -> dict[str, str]:
    return {"listen": f"127.0.0.1:{port}", "metrics": f"127.0.0.1:{port + METRICS_OFFSET}"}


def to_json(topology: Topology) -> str:
    """Return a topology as one line, for a process that is started with it; see `from_json`."""
    values = dataclasses.asdict(topology)
    path, derived = values.pop("path"), {name: values.pop(name) for name in ("takeover", "insecure")}
    urls = values.pop("urls")
    values["collection"], *values["collections"] = [urls.get(one, one) for one in topology.directories]
    values["coordinator"] = values.pop("coordinators")
    alone = (values["library"] or {}, values["page"] or {})
    for table in (*values["coordinator"], *values["ranker"], *values["encoder"], *alone):
        table.pop("name", None)
    values = {name: value for name, value in values.items() if value is not None}
    return json.dumps({"path": path.absolute(), "derived": derived, "values": values}, default=str)


def from_json(text: str) -> Topology:
    """Return the topology of a line of `to_json`."""
    line = json.loads(text)
    return dataclasses.replace(parse(line["values"], Path(line["path"])), **line["derived"])


def select(choices: Sequence[Part], name: str | None, listen: str | None) -> Part:
    """Return the part with this name and address; a single part of a name may be moved to `listen`."""
    named = [one for one in choices if name in (None, one.name)]
    if len(exact := [one for one in named if listen in (None, "", one.listen)]) == 1:
        return exact[0]
    if listen and len(named) == 1:
        return dataclasses.replace(named[0], listen=listen)
    there = ", ".join(f"{one.name} at {one.listen}" for one in choices) or "none"
    given = f"--name {name or '(any)'} --listen {listen or '(any)'}"
    raise InvalidInput(f"{given} does not name one worker; there are: {there}")
