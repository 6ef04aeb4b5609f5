"""Every metric that processes export: name, labels, meaning.

Labels have few values: names out of the topology, the API and the collections; never a request's id, text or
caller. `python -m engine.metrics_page` writes docs/metrics.md from this module.
"""

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TypeVar

from prometheus_client.metrics_core import Metric

from engine.admission import Counts
from engine.metric_kinds import ALL, REGISTRY, Group, Rows, State, bound

__all__ = [
    "ALL",
    "REGISTRY",
    "Rows",
    "RpcMeter",
    "State",
    "admissions",
    "batches",
    "bound",
    "describe",
    "refused",
]

In = TypeVar("In")
Out = TypeVar("Out")
STAGES = ("encode", "retrieve", "propose", "rank")

_every = Group("every process")
PROCESS = _every.gauge("spr_process_info{role,name,version}", "1; which process of the topology this is.")
SERVING = _every.gauge(
    "spr_serving{service}", "Whether a service's gRPC health is SERVING; of the page whether it serves."
)
RPCS = _every.counter("spr_rpcs_total{method,code}", "Calls that ended, refused ones too.")
RPC_SECONDS = _every.histogram("spr_rpc_seconds{method}", "From the message's arrival to the answer.")
RPCS_IN_FLIGHT = _every.gauge("spr_rpcs_in_flight{method}", "Calls that are being answered.")
ADMISSION_LIMIT = _every.reading("spr_admission_limit{queue}", "Slots of an admission control.")
ADMISSION_USED = _every.reading("spr_admission_used{queue}", "Slots that are taken.")
ADMISSION_WAITING = _every.reading("spr_admission_waiting{queue}", "Calls that wait for a slot.")
ADMISSION_REFUSED = _every.reading(
    "spr_admission_refused_total{queue}", "Calls refused because no slot was free.", "counter"
)
DISK_FREE = _every.reading("spr_disk_free_bytes{directory}", "Free on the disk of a collection.")
DISK_SIZE = _every.reading("spr_disk_size_bytes{directory}", "Size of that disk.")

_encoding = Group("coordinator, ranker")
CACHE = _encoding.counter(
    "spr_cache_requests_total{cache,result}", "Looks into a cache of encoded sentences: hit or miss."
)

_coordinator = Group("coordinator")
SEARCHES = _coordinator.reading(
    "spr_searches_total{collection,result}", "Searches, each of a batch: whole, degraded, failed.", "counter"
)
STAGE_SECONDS = _coordinator.histogram(
    "spr_search_stage_seconds{collection,stage}", f"Stages of answered searches: {', '.join(STAGES)}."
)
SHARD_SECONDS = _coordinator.histogram(
    "spr_search_shard_seconds{collection,shard}", "What a shard took of retrieve, answered or lost."
)
DEGRADED = _coordinator.counter("spr_degraded_answers_total{collection,reason}", "Degraded answers.")
SLOW = _coordinator.counter("spr_slow_searches_total{collection}", "Searches of `slow_query` or more.")
COVERAGE = _coordinator.reading(
    "spr_coverage_ratio{collection}", "Share of the videos whose shard has a worker that serves."
)
VIDEOS = _coordinator.reading("spr_videos{collection}", "Videos of the active version.")
SEGMENTS = _coordinator.reading("spr_segments{collection}", "Segments of the active version.")
VERSION = _coordinator.reading(
    "spr_version_info{collection,version,state}", "1; active, beside it, or coming (being prepared)."
)
VERSION_CURRENT = _coordinator.reading(
    "spr_version_current{collection}", "Whether what CURRENT names is active."
)
WORKER = _coordinator.reading("spr_worker_serving{role,worker,target}", "Whether its last probe was good.")
REPLICA = _coordinator.reading(
    "spr_replica_state{worker,target,state}", "1 for the state it is in: healthy, ejected, open (circuit)."
)
OUTSTANDING = _coordinator.reading("spr_replica_outstanding{worker,target}", "Calls it has not answered.")
HEDGES = _coordinator.counter("spr_hedges_total{worker}", "Calls sent to a second replica for slowness.")
RETRIES = _coordinator.counter("spr_retries_total{worker}", "Calls sent to a further replica on failure.")
EJECTIONS = _coordinator.counter("spr_ejections_total{worker}", "Times that a replica left the rotation.")

_workers = Group("index, ranker")
HELD = _workers.reading("spr_held_version_info{collection,version,state}", "1; sound or damaged.")
SCRUB_AGE = _workers.reading("spr_scrub_age_seconds", "Since the file that waits longest was last hashed.")
SCRUB_FAULTS = _workers.reading("spr_scrub_faults", "Open parts of which a file is damaged or changed.")

_ranker = Group("ranker")
BATCH_SIZE = _ranker.histogram(
    "spr_batch_size{kind}", "Calls that are computed together: encode, rank.", (1, 2, 4, 8, 16, 32, 64)
)
BATCH_SECONDS = _ranker.histogram("spr_batch_seconds{kind}", "Computation of a batch.")

_library = Group("library")
JOBS = _library.reading("spr_jobs{collection,state}", "Jobs on record.")
OLDEST_JOB = _library.reading("spr_oldest_job_seconds{collection}", "Age of the oldest job not ended, or 0.")
JOBS_ENDED = _library.counter("spr_jobs_ended_total{collection,kind,result}", "Jobs that ended.")
STANDING = _library.reading("spr_standing_searches{collection}", "Standing searches on record.")
STANDING_LAG = _library.reading(
    "spr_standing_lag_seconds{collection}",
    "Age of the oldest video that a standing search has not judged, or 0.",
)
STANDING_JUDGED = _library.counter(
    "spr_standing_judged_total{collection}", "Videos judged, once by each standing search."
)
STANDING_MATCHES = _library.counter("spr_standing_matches_total{collection}", "Matches of standing searches.")
WEBHOOKS = _library.counter(
    "spr_webhook_deliveries_total{collection,result}", "Attempts to deliver matches: sent, refused, given_up."
)
WEBHOOKS_WAITING = _library.reading("spr_webhook_waiting{collection}", "Matches that wait to be delivered.")


class RpcMeter:
    """Counts the calls of a method, by pre-bound children."""

    def __init__(self, method: str) -> None:
        self._method = method.removeprefix("/")
        self._seconds = RPC_SECONDS.labels(self._method)
        self._in_flight = RPCS_IN_FLIGHT.labels(self._method)
        bound(RPCS, self._method, "OK")

    def began(self) -> None:
        """Count a call in flight."""
        self._in_flight.inc()

    def ended(self, code: str, seconds: float) -> None:
        """Count a call that `began` and took so long."""
        self._in_flight.dec()
        self._seconds.observe(seconds)
        bound(RPCS, self._method, code).inc()


def refused(method: str, code: str) -> None:
    """Count a call that was refused unread."""
    bound(RPCS, method.removeprefix("/"), code).inc()


def admissions(queues: Mapping[str, Counts]) -> Iterator[Metric]:
    """Yield the state of admission controls by name."""
    known = queues.items()
    yield ADMISSION_LIMIT.samples(((name,), one.limit) for name, one in known)
    yield ADMISSION_USED.samples(((name,), one.inside) for name, one in known)
    yield ADMISSION_WAITING.samples(((name,), one.waiting) for name, one in known)
    yield ADMISSION_REFUSED.samples(((name,), one.refused) for name, one in known)


def batches(kind: str, compute: Callable[[Sequence[In]], Out]) -> Callable[[Sequence[In]], Out]:
    """Return `compute` of batches, with their sizes and seconds counted."""
    size, seconds = BATCH_SIZE.labels(kind), BATCH_SECONDS.labels(kind)

    def counted(items: Sequence[In]) -> Out:
        size.observe(len(items))
        with seconds.time():
            return compute(items)

    return counted


def describe(role: str, name: str, directories: Sequence[Path]) -> None:
    """Export which process this is, and the disks of its collections."""
    bound(PROCESS, role, name, version("spr-engine")).set(1)

    def disks() -> Iterator[Metric]:
        usage = [(str(one), shutil.disk_usage(one)) for one in directories if one.exists()]
        yield DISK_FREE.samples(((name,), about.free) for name, about in usage)
        yield DISK_SIZE.samples(((name,), about.total) for name, about in usage)

    State(disks).begin()
