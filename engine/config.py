"""The topology: one TOML file that says which processes run where.

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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

from engine.errors import InvalidInput
from engine.files import read_toml
from engine.values import DERIVED, Count, NonNegative, filled

LogLevel = Literal["debug", "info", "warning", "error"]
Uris = Literal["none", "name", "full"]
TextPrecision = Literal["auto", "int8", "float32"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CoordinatorConfig:
    """The coordinator's addresses and limits. Times are seconds.

    max_deadline: upper bound of every search's deadline, also of callers that set none.
    reserve: part of a deadline kept to assemble and send the answer.
    shard_timeout: time limit of one shard; a later answer is left out.
    hedge_after: upper bound of the delay before a hedged request to a second replica; the delay itself
    follows the latency quantile. 0 never hedges.
    max_in_flight: admission limit; further searches are refused with QUEUE_FULL.
    segment_top_k, proposal_top_k, proposals: segments fetched, proposals ranked (0: all) and the proposal
    rule, for a search that does not say.
    encoded_queries: size of the LRU cache of encoded sentences; 0: none.
    page_lists, page_ttl: size and time to live of the cache of ranked lists behind page tokens.
    uris: what an answer tells of the source files: "none", "name" (the file's) or "full".
    """

    listen: str = "127.0.0.1:7400"
    admin: str = "127.0.0.1:7401"
    max_in_flight: Count = 64
    batch_concurrency: Count = 4
    max_deadline: NonNegative = 10.0
    reserve: NonNegative = 0.05
    shard_timeout: NonNegative = 3.0
    hedge_after: NonNegative = 0.25
    segment_top_k: Count = 200
    proposal_top_k: Count = 200
    proposals: str = "peaks:1"
    encoded_queries: Count = 256
    page_lists: Count = 1000
    page_ttl: NonNegative = 300.0
    uris: Uris = "name"
    name: str = field(default="coordinator", metadata=DERIVED)


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexWorkerConfig:
    """One index worker: a replica of one shard.

    address: where others reach it, if not at `listen`. threads: OpenMP threads of one search.
    device: "auto", "cpu" or "gpu".
    max_in_flight: admission limit; further searches are refused with QUEUE_FULL.
    """

    shard: Count
    listen: str
    address: str = ""
    threads: Count = 1
    device: str = "auto"
    max_in_flight: Count = 64

    @property
    def name(self) -> str:
        """The shard's name, the same for all its replicas: `shard-00003`."""
        return shard_name(self.shard)

    @property
    def target(self) -> str:
        """The address by which the coordinator reaches it."""
        return self.address or reachable(self.listen)


@dataclass(frozen=True, slots=True, kw_only=True)
class RankerWorkerConfig:
    """One ranker worker, which also encodes the queries.

    threads: CPU threads of torch, 0 for one a core. device: "auto", "cpu" or "cuda".
    max_batch, max_delay_ms: largest batch of concurrent requests, and the longest wait to fill one.
    text_precision: "int8", "float32", or "auto": int8 on a CPU where it is faster and says the same.
    text_cache: directory of the int8 form; empty: in the collection.
    cache_texts, cache_mb: entries and bytes of the LRU cache of encoded queries.
    """

    listen: str
    address: str = ""
    threads: Count = 0
    device: str = "auto"
    max_batch: Count = 16
    max_delay_ms: NonNegative = 2.0
    text_precision: TextPrecision = "auto"
    text_cache: str = ""
    cache_texts: Count = 1024
    cache_mb: Count = 64
    max_in_flight: Count = 64
    name: str = field(default="ranker", metadata=DERIVED)

    @property
    def target(self) -> str:
        """The address by which the coordinator reaches it."""
        return self.address or reachable(self.listen)


@dataclass(frozen=True, slots=True, kw_only=True)
class Topology:
    """All processes of one collection. `path` is the file it was read from.

    hang_timeout: seconds without an answer after which a process is killed and restarted; 0: never.
    takeover: whether a coordinator starts while its predecessor still serves; never in a file.
    """

    path: Path = field(default=Path(), metadata=DERIVED)
    collection: Path
    generation: str = ""
    log_level: LogLevel = "info"
    hang_timeout: NonNegative = 10.0
    takeover: bool = field(default=False, metadata=DERIVED)
    coordinator: CoordinatorConfig = CoordinatorConfig()
    index: tuple[IndexWorkerConfig, ...] = ()
    ranker: tuple[RankerWorkerConfig, ...] = ()


Part = TypeVar("Part", CoordinatorConfig, IndexWorkerConfig, RankerWorkerConfig)


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
        ranker=tuple(dataclasses.replace(r, name=f"ranker-{i}") for i, r in enumerate(given.ranker)),
    )
    _check(topology)
    return topology


def for_collection(collection: Path, shards: int, port: int, generation: str = "") -> Topology:
    """Return a topology for one machine: the coordinator at `port`, all others above it.

    InvalidInput if there are no ports for them.
    """
    highest = port + 9 + shards
    if not 1 <= port <= highest <= 65535:
        most = 65535 - 9 - shards
        raise InvalidInput(f"port {port} leaves no ports for all processes; choose one of 1 to {most}")
    values = {
        "collection": str(collection.resolve()),
        "generation": generation,
        "coordinator": {"listen": f"127.0.0.1:{port}", "admin": f"127.0.0.1:{port + 1}"},
        "index": [{"shard": n, "listen": f"127.0.0.1:{port + 10 + n}"} for n in range(shards)],
        "ranker": [{"listen": f"127.0.0.1:{port + 2}"}],
    }
    return parse(values, collection)


def to_json(topology: Topology) -> str:
    """Return a topology as one line, for a process that is started with it; see `from_json`."""
    values = dataclasses.asdict(topology)
    path, takeover = values.pop("path"), values.pop("takeover")
    for table in (values["coordinator"], *values["ranker"]):
        del table["name"]
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
    listens = [topology.coordinator.admin, *(one.listen for one in all_parts)]
    for listen in listens:
        _check_address(listen, topology.path)
        if listens.count(listen) > 1 and not listen.endswith(":0"):
            raise InvalidInput(f"{topology.path} gives {listen} to two processes; give each its own port")


def _check_address(listen: str, path: Path) -> None:
    _, separator, port = listen.rpartition(":")
    if not separator or not port.isdigit() or int(port) > 65535:
        raise InvalidInput(f"{path}: listen is {listen!r}; write HOST:PORT")
