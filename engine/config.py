"""One TOML file says what runs where; each process reads its part of it once.

collection = "collection"          # directory, relative to this file
generation = ""                    # empty: the one that COLLECTION/CURRENT names

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
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from engine.errors import InvalidInput
from engine.files import read_toml


@dataclass(frozen=True, slots=True, kw_only=True)
class CoordinatorConfig:
    """The coordinator's addresses and limits. Times are seconds.

    max_deadline: the longest a search may take, also for callers that set no deadline.
    reserve: kept back of every deadline to put the answer together and send it.
    shard_timeout: the longest one shard may take before its part is given up.
    hedge_after: wait before a second replica is asked as well; 0 never asks twice.
    max_in_flight: searches at once; more are refused with QUEUE_FULL.
    segment_top_k, proposal_top_k, proposals: segments fetched, proposals ranked (0: all) and the rule that
    makes them, for a search that does not say.
    encoded_queries: sentences whose vectors are kept, so that they need no encoder when asked again; 0: none.
    page_lists, page_ttl: ranked lists kept for further pages, and for how long.
    uris: what an answer tells of the source files: "none", "name" (the file's) or "full".
    """

    listen: str = "127.0.0.1:7400"
    admin: str = "127.0.0.1:7401"
    max_in_flight: int = 64
    batch_concurrency: int = 4
    max_deadline: float = 10.0
    reserve: float = 0.05
    shard_timeout: float = 3.0
    hedge_after: float = 0.25
    segment_top_k: int = 200
    proposal_top_k: int = 200
    proposals: str = "peaks:1"
    encoded_queries: int = 256
    page_lists: int = 1000
    page_ttl: float = 300.0
    uris: str = "name"
    name: str = "coordinator"


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexConfig:
    """One index worker: a replica of one shard.

    address: where others reach it, if not at `listen`. threads: OpenMP threads of one search.
    device: "auto", "cpu" or "gpu".
    max_in_flight: searches at once; more are refused with QUEUE_FULL.
    """

    shard: int
    listen: str
    address: str = ""
    threads: int = 1
    device: str = "auto"
    max_in_flight: int = 64

    @property
    def name(self) -> str:
        """The shard's name, the same for all its replicas: `shard-00003`."""
        return shard_name(self.shard)

    @property
    def target(self) -> str:
        """Where the coordinator reaches it."""
        return self.address or reachable(self.listen)


@dataclass(frozen=True, slots=True, kw_only=True)
class RankerConfig:
    """One ranker worker, which also encodes the queries.

    threads: CPU threads of torch, 0 for one a core. device: "auto", "cpu" or "cuda".
    max_batch, max_delay_ms: concurrent requests that are computed together, and the wait for more of them
    where several wait already.
    text_precision: "int8", "float32", or "auto": int8 on a CPU where it is faster and says the same.
    text_cache: directory that keeps the int8 form; empty: in the collection.
    cache_texts, cache_mb: encoded queries kept, and the memory they may take.
    """

    listen: str
    address: str = ""
    threads: int = 0
    device: str = "auto"
    max_batch: int = 16
    max_delay_ms: float = 2.0
    text_precision: str = "auto"
    text_cache: str = ""
    cache_texts: int = 1024
    cache_mb: int = 64
    max_in_flight: int = 64
    name: str = "ranker"

    @property
    def target(self) -> str:
        """Where the coordinator reaches it."""
        return self.address or reachable(self.listen)


@dataclass(frozen=True, slots=True, kw_only=True)
class Topology:
    """All processes of one collection. `path` is the file it was read from."""

    path: Path
    collection: Path
    generation: str = ""
    log_level: str = "info"
    coordinator: CoordinatorConfig = CoordinatorConfig()
    index: tuple[IndexConfig, ...] = ()
    ranker: tuple[RankerConfig, ...] = ()


Part = TypeVar("Part", CoordinatorConfig, IndexConfig, RankerConfig)


def shard_name(shard: int) -> str:
    """Return the name of a shard and of its directory."""
    return f"shard-{shard:05d}"


def reachable(listen: str) -> str:
    """Return the address by which this machine reaches what listens there."""
    host, _, port = listen.rpartition(":")
    return f"localhost:{port}" if host in ("0.0.0.0", "[::]", "") else listen


def read(path: Path) -> Topology:
    """Read and check a topology file; InvalidInput names what is wrong in it."""
    try:
        values = read_toml(path)
    except FileNotFoundError:
        raise InvalidInput(
            f"{path} does not exist; write a topology as deploy/topology.example.toml"
        ) from None
    return parse(values, path)


def parse(values: Mapping[str, Any], path: Path) -> Topology:
    """Build a topology from the values of a file at `path`, relative to which its paths are."""
    known = {"collection", "generation", "log_level", "coordinator", "index", "ranker"}
    _refuse_unknown(values, known, str(path))
    if not isinstance(values.get("collection"), str):
        raise InvalidInput(f'{path} names no collection; write collection = "DIRECTORY" at its top')
    rankers = _parts(RankerConfig, values.get("ranker", []), path)
    topology = Topology(
        path=path,
        collection=(path.parent / values["collection"]).resolve(),
        generation=str(values.get("generation", "")),
        log_level=str(values.get("log_level", "info")),
        coordinator=_part(CoordinatorConfig, values.get("coordinator", {}), f"{path}: [coordinator]"),
        index=_parts(IndexConfig, values.get("index", []), path),
        ranker=tuple(dataclasses.replace(r, name=f"ranker-{i}") for i, r in enumerate(rankers)),
    )
    _check(topology)
    return topology


def for_collection(collection: Path, shards: int, port: int) -> str:
    """Return the text of a topology for one machine: the coordinator at `port`, all others above it.

    InvalidInput if there are no ports for them.
    """
    highest = port + 9 + shards
    if not 1 <= port <= highest <= 65535:
        most = 65535 - 9 - shards
        raise InvalidInput(f"port {port} leaves no ports for all processes; choose one of 1 to {most}")
    lines = [f"collection = {json.dumps(str(collection.resolve()))}", "[coordinator]"]
    lines += [f'listen = "127.0.0.1:{port}"', f'admin = "127.0.0.1:{port + 1}"']
    for shard in range(shards):
        lines += ["[[index]]", f"shard = {shard}", f'listen = "127.0.0.1:{port + 10 + shard}"']
    lines += ["[[ranker]]", f'listen = "127.0.0.1:{port + 2}"']
    return "\n".join(lines) + "\n"


def select(parts: Sequence[Part], name: str | None, listen: str | None) -> Part:
    """Return the part with this name and address; a single part of a name may be moved to `listen`."""
    named = [part for part in parts if name in (None, part.name)]
    exact = [part for part in named if part.listen == listen] if listen else named
    if len(exact) == 1:
        return exact[0]
    if listen and len(named) == 1:
        return dataclasses.replace(named[0], listen=listen)
    choices = ", ".join(f"{part.name} at {part.listen}" for part in parts) or "none"
    given = f"--name {name or '(any)'} --listen {listen or '(any)'}"
    raise InvalidInput(f"{given} does not name one worker; there are: {choices}")


def _check(topology: Topology) -> None:
    if not topology.index:
        raise InvalidInput(f"{topology.path} has no [[index]]; every shard needs one")
    if not topology.ranker:
        raise InvalidInput(f"{topology.path} has no [[ranker]]; it encodes the queries")
    if topology.log_level not in ("debug", "info", "warning", "error"):
        raise InvalidInput(
            f"{topology.path}: log_level is {topology.log_level!r}, not debug, info, warning, error"
        )
    for ranker in topology.ranker:
        if ranker.text_precision not in ("auto", "int8", "float32"):
            raise InvalidInput(
                f"{topology.path}: text_precision is {ranker.text_precision!r}, not auto, int8, float32"
            )
    if topology.coordinator.uris not in ("none", "name", "full"):
        raise InvalidInput(f"{topology.path}: uris is {topology.coordinator.uris!r}, not none, name, full")
    parts: list[Any] = [topology.coordinator, *topology.index, *topology.ranker]
    listens = [part.listen for part in parts] + [topology.coordinator.admin]
    for listen in listens:
        _check_address(listen, topology.path)
        if listens.count(listen) > 1 and not listen.endswith(":0"):
            raise InvalidInput(f"{topology.path} gives {listen} to two processes; give each its own port")


def _check_address(listen: str, path: Path) -> None:
    _, separator, port = listen.rpartition(":")
    if not separator or not port.isdigit() or int(port) > 65535:
        raise InvalidInput(f"{path}: listen is {listen!r}; write HOST:PORT")


def _parts(kind: Callable[..., Part], values: Any, path: Path) -> tuple[Part, ...]:
    table = getattr(kind, "__name__", "part").removesuffix("Config").lower()
    if not isinstance(values, list):
        raise InvalidInput(f"{path}: write [[{table}]] with two brackets, one table a worker")
    return tuple(_part(kind, value, f"{path}: [[{table}]] {i}") for i, value in enumerate(values))


def _part(kind: Callable[..., Part], values: Any, where: str) -> Part:
    fields = {f.name: f for f in dataclasses.fields(kind) if f.name != "name"}  # type: ignore[arg-type]
    if not isinstance(values, dict):
        raise InvalidInput(f"{where} is not a table")
    _refuse_unknown(values, set(fields), where)
    for name, field in fields.items():
        if name in values:
            values = {**values, name: _value(values[name], field.type, f"{where}: {name}")}
        elif field.default is dataclasses.MISSING:
            raise InvalidInput(f"{where} needs {name}")
    return kind(**values)


def _value(value: Any, kind: Any, where: str) -> Any:
    wanted: Any = {"int": int, "float": float, "str": str}.get(str(kind), kind)
    if wanted is float and type(value) is int:
        value = float(value)
    if type(value) is not wanted:
        raise InvalidInput(f"{where} is {value!r}; it must be of type {wanted.__name__}")
    if wanted in (int, float) and value < 0:
        raise InvalidInput(f"{where} is {value!r}; it must not be negative")
    return value


def _refuse_unknown(values: Mapping[str, Any], known: set[str], where: str) -> None:
    unknown = sorted(set(values) - known)
    if unknown:
        raise InvalidInput(f"{where} does not know {unknown[0]!r}; it knows {', '.join(sorted(known))}")
