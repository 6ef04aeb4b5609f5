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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from engine import logs
from engine.errors import InvalidInput
from engine.files import read_toml
from engine.tables import part, parts, refuse_unknown, value


@dataclass(frozen=True, slots=True, kw_only=True)
class CoordinatorConfig:
    """The coordinator's addresses and limits. Times are seconds.

    max_deadline: the longest a search may take, also for callers that set no deadline.
    reserve: kept back of every deadline to put the answer together and send it.
    shard_timeout: the longest one shard may take before its part is given up.
    hedge_after: longest wait until a second replica is asked too, less once it is known how long answers
    take; 0 never asks twice.
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
class RankerWorkerConfig:
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
    """All processes of one collection. `path` is the file it was read from.

    hang_timeout: seconds of silence after which a process is killed and started again; 0: never.
    takeover: of a coordinator that is started while the one before it still serves; never in a file.
    """

    path: Path
    collection: Path
    generation: str = ""
    log_level: str = "info"
    hang_timeout: float = 10.0
    takeover: bool = False
    coordinator: CoordinatorConfig = CoordinatorConfig()
    index: tuple[IndexConfig, ...] = ()
    ranker: tuple[RankerWorkerConfig, ...] = ()


Part = TypeVar("Part", CoordinatorConfig, IndexConfig, RankerWorkerConfig)


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
    known = {"collection", "generation", "log_level", "hang_timeout", "coordinator", "index", "ranker"}
    refuse_unknown(values, known, str(path))
    if not isinstance(values.get("collection"), str):
        raise InvalidInput(f'{path} names no collection; write collection = "DIRECTORY" at its top')
    rankers = parts(RankerWorkerConfig, values.get("ranker", []), path)
    topology = Topology(
        path=path,
        collection=(path.parent / values["collection"]).resolve(),
        generation=str(values.get("generation", "")),
        log_level=str(values.get("log_level", "info")),
        hang_timeout=value(values.get("hang_timeout", 10.0), "float", f"{path}: hang_timeout"),
        coordinator=part(CoordinatorConfig, values.get("coordinator", {}), f"{path}: [coordinator]"),
        index=parts(IndexConfig, values.get("index", []), path),
        ranker=tuple(dataclasses.replace(r, name=f"ranker-{i}") for i, r in enumerate(rankers)),
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
    if topology.log_level not in logs.LEVELS:
        levels = ", ".join(logs.LEVELS)
        raise InvalidInput(f"{topology.path}: log_level is {topology.log_level!r}, not {levels}")
    for ranker in topology.ranker:
        if ranker.text_precision not in ("auto", "int8", "float32"):
            raise InvalidInput(
                f"{topology.path}: text_precision is {ranker.text_precision!r}, not auto, int8, float32"
            )
    if topology.coordinator.uris not in ("none", "name", "full"):
        raise InvalidInput(f"{topology.path}: uris is {topology.coordinator.uris!r}, not none, name, full")
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
