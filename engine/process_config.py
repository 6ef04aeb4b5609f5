"""The settings of each kind of process, as a topology's tables give them."""

from dataclasses import dataclass, field, replace
from typing import Annotated, Literal

from engine.ports import above
from engine.values import DERIVED, AtLeast, AtMost, Count, NonNegative

# Before a worker's address: a DNS name, each of whose addresses is a replica.
DNS = "dns:"

Uris = Literal["none", "name", "full"]
TextPrecision = Literal["auto", "int8", "float32"]
Share = Annotated[float, AtLeast(0), AtMost(1)]
METRICS_OFFSET = 1000  # without a topology file: from the port of a process to that of its metrics


@dataclass(frozen=True, slots=True, kw_only=True)
class TracingConfig:
    """OpenTelemetry traces of all processes; needs the extra `traces`.

    endpoint: URL of a collector that takes OTLP over gRPC; https encrypts. sample: share of the searches that
    are traced; a caller's `traceparent` decides for its own. query_text: whether spans carry the sentence.
    """

    endpoint: str
    sample: Share = 0.01
    query_text: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CoordinatorConfig:
    """The coordinator's addresses and limits. Times are seconds.

    max_deadline: upper bound of every search's deadline, also of callers that set none.
    reserve: part of a deadline kept to assemble and send the answer.
    shard_timeout: time limit of one shard; a later answer is left out.
    hedge_after: upper bound of the delay before a hedged request to a second replica; the delay itself
    follows the latency quantile. 0 never hedges.
    max_in_flight: searches of a collection that run or wait, in units of the default one's cost; further ones
    are refused with QUEUE_FULL.
    segment_top_k, proposal_top_k, proposals: segments fetched, proposals ranked (0: all) and the proposal
    rule, for a search that does not say.
    encoded_queries: size of the LRU cache of encoded sentences; 0: none.
    page_lists, page_ttl: size and time to live of the cache of ranked lists behind page tokens.
    uris: what an answer tells of the source files: "none", "name" (the file's) or "full".
    slow_query: seconds from which a search leaves a warning in the log; 0: none does. log_queries: whether
    that line has the sentence.
    metrics: HOST:PORT of /metrics, /healthz and /livez, of every process; empty: none.
    address, admin_address: where library and page reach it, if not at `listen` and `admin`.
    zone: where it runs; of workers that do equally well those of the same zone are asked. "": any.
    processes: that share `listen`, each with limits and caches of its own; the kernel spreads connections.
    """

    listen: str = "127.0.0.1:7400"
    admin: str = "127.0.0.1:7401"
    address: str = ""
    zone: str = ""
    admin_address: str = ""
    metrics: str = ""
    processes: Annotated[int, AtLeast(1), AtMost(64)] = 1
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
    slow_query: NonNegative = 2.0
    log_queries: bool = False
    name: str = field(default="coordinator", metadata=DERIVED)

    @property
    def front(self) -> str:
        """The address by which the library and the page reach its searches."""
        return self.address or reachable(self.listen)

    @property
    def back(self) -> str:
        """The address by which the page reaches its administration."""
        return self.admin_address or reachable(self.admin)

    @property
    def each(self) -> tuple["CoordinatorConfig", ...]:
        """Its processes: metrics of all at ports in a row, `admin` of the first, of others a free port."""
        admin, several = f"{self.admin.rpartition(':')[0]}:0", range(2, self.processes + 1)
        more = ((f"{self.name}.{number}", above(self.metrics, number - 1)) for number in several)
        return self, *(replace(self, name=name, admin=admin, metrics=metrics) for name, metrics in more)


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexWorkerConfig:
    """One index worker: a replica of one shard.

    address: where others reach it, if not at `listen`; "dns:HOST:PORT": at every address of HOST. threads:
    OpenMP threads of one search. zone: where it runs; a coordinator asks those of its own zone first.
    device: "auto", "cpu" or "gpu".
    max_in_flight: admission limit; further searches are refused with QUEUE_FULL.
    """

    shard: Count
    listen: str
    address: str = ""
    zone: str = ""
    metrics: str = ""
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
class EncoderWorkerConfig:
    """One process that encodes the queries, in place of the ranker workers.

    address, zone: as an index worker's. threads: CPU threads of torch, 0 for one a core. device: "auto",
    "cpu" or "cuda".
    max_batch, max_delay_ms: largest batch of concurrent requests, and the longest wait to fill one.
    text_precision: "int8", "float32", or "auto": int8 on a CPU where it is faster and says the same.
    text_cache: directory of the int8 form; empty: in the collection.
    cache_texts, cache_mb: entries and bytes of the LRU cache of encoded queries.
    """

    listen: str
    address: str = ""
    zone: str = ""
    metrics: str = ""
    threads: Count = 0
    device: str = "auto"
    max_batch: Count = 16
    max_delay_ms: NonNegative = 2.0
    text_precision: TextPrecision = "auto"
    text_cache: str = ""
    cache_texts: Count = 1024
    cache_mb: Count = 64
    max_in_flight: Count = 64
    name: str = field(default="encoder", metadata=DERIVED)

    @property
    def target(self) -> str:
        """The address by which the coordinator reaches it."""
        return self.address or reachable(self.listen)


@dataclass(frozen=True, slots=True, kw_only=True)
class RankerWorkerConfig(EncoderWorkerConfig):
    """One ranker worker, which also encodes the queries where the topology has no encoder.

    shards: numbers of those whose contexts it holds; none: all.
    """

    shards: tuple[Count, ...] = ()
    name: str = field(default="ranker", metadata=DERIVED)

    @property
    def holds(self) -> frozenset[str] | None:
        """Names of the shards whose contexts it holds, None for all."""
        return frozenset(map(shard_name, self.shards)) or None


@dataclass(frozen=True, slots=True, kw_only=True)
class LibraryConfig:
    """The library process, the only writer of the topology's collections.

    max_queued: jobs that may wait; further ones are refused with QUEUE_FULL. threads: CPU threads of its
    work. device: "auto", "cpu" or "cuda". keep: versions to keep beside the current one. watch: folders whose
    videos are added to the first collection as they appear. roots: folders and URLs below which requests may
    name files; empty: anywhere, and nowhere with [access]. webhook_hosts: those that standing searches may
    call; empty: all, and none with [access]. token: file of the token that it searches with under [access].
    """

    listen: str = "127.0.0.1:7403"
    address: str = ""
    metrics: str = ""
    threads: Count = 1
    device: str = "auto"
    max_queued: Count = 10_000
    keep: Count = 10
    watch: tuple[str, ...] = ()
    roots: tuple[str, ...] = ()
    webhook_hosts: tuple[str, ...] = ()
    token: str = ""
    name: str = field(default="library", metadata=DERIVED)

    @property
    def target(self) -> str:
        """The address by which the coordinator reaches it."""
        return self.address or reachable(self.listen)


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscoveryConfig:
    """How addresses `dns:HOST:PORT` are resolved.

    nameserver: HOST:PORT, the host a number; empty: as /etc/resolv.conf says. interval: seconds between
    looks.
    """

    nameserver: str = ""
    interval: NonNegative = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PageConfig:
    """The web page's process, a client of the coordinator.

    roots: folders, the only ones of which files are played; none: wherever the collections' files lie.
    cache_mb: of pictures and clips, in memory. token: file of the token that it shows where there is
    [access]. insecure: whether other machines may reach it although nothing asks who they are.
    """

    listen: str = "127.0.0.1:7480"
    metrics: str = ""
    roots: tuple[str, ...] = ()
    cache_mb: Count = 128
    token: str = ""
    insecure: bool = False
    name: str = field(default="page", metadata=DERIVED)

    @property
    def target(self) -> str:
        """The address by which this machine reaches it."""
        return reachable(self.listen)


def shard_name(shard: int) -> str:
    """Return the name of a shard and of its directory."""
    return f"shard-{shard:05d}"


def reachable(listen: str) -> str:
    """Return the address by which this machine reaches what listens there."""
    host, _, port = listen.rpartition(":")
    return f"localhost:{port}" if host in ("0.0.0.0", "[::]", "") else listen
