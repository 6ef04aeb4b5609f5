"""The coordinator's metrics that are read when they are scraped."""

from collections.abc import Iterable, Iterator

from prometheus_client.metrics_core import Metric

from engine import metrics
from engine.answers import Degraded
from engine.fleet import Fleet
from engine.monitor import Monitor
from engine.replica_health import Health
from engine.served import Collections, ServedCollection
from engine.worker_state import WorkerState


def prepare(collection: ServedCollection) -> None:
    """Export what happens seldom at 0, so that its first time is seen as an increase."""
    metrics.bound(metrics.SLOW, collection.name)
    for reason in Degraded:
        metrics.bound(metrics.DEGRADED, collection.name, reason.name)


def read(collections: Collections, fleet: Fleet, monitor: Monitor, now: float) -> Iterator[Metric]:
    """Yield the state of collections, versions, workers and replicas. now: of the monotonic clock."""
    workers = list(monitor.workers)
    yield metrics.SEARCHES.samples(row for one in collections.all for row in _searches(one))
    yield metrics.COVERAGE.samples(
        ((one.name,), coverage(one, workers)) for one in collections.all if one.active is not None
    )
    yield from _sizes(collections)
    yield metrics.VERSION.samples(row for one in collections.all for row in _versions(one))
    yield metrics.VERSION_CURRENT.samples(
        ((one.name,), float(bool(one.newest) and one.newest == one.active_id)) for one in collections.all
    )
    yield metrics.WORKER.samples(
        ((one.role, one.name, one.target), float(one.state == "serving")) for one in workers
    )
    members = [(one.name, member) for one in fleet.all for member in one.members]
    yield metrics.OUTSTANDING.samples(
        ((name, member.target), float(member.health.outstanding)) for name, member in members
    )
    yield metrics.REPLICA.samples(
        ((name, member.target, state.name.lower()), float(member.health.state(now) is state))
        for name, member in members
        for state in Health
    )


def coverage(collection: ServedCollection, workers: Iterable[WorkerState]) -> float:
    """Return the share of a collection's videos that a worker serves, of its active version."""
    if collection.active is None:
        return 0.0
    version = collection.active.corpus.version
    serving = {one.name for one in workers if one.role == "index" and one.serves(collection)}
    found = sum(shard.videos for shard in version.shards if shard.name in serving)
    return found / version.videos if version.videos else 1.0


def _searches(collection: ServedCollection) -> metrics.Rows:
    statistics = collection.statistics
    yield (collection.name, "whole"), statistics.answered - statistics.degraded
    yield (collection.name, "degraded"), statistics.degraded
    yield (collection.name, "failed"), statistics.failed


def _sizes(collections: Collections) -> Iterator[Metric]:
    active = [(one.name, one.active.corpus.version) for one in collections.all if one.active is not None]
    yield metrics.VIDEOS.samples(((name,), float(version.videos)) for name, version in active)
    yield metrics.SEGMENTS.samples(((name,), float(version.segments)) for name, version in active)


def _versions(collection: ServedCollection) -> metrics.Rows:
    for version in list(collection.versions):
        state = "active" if version == collection.active_id else "beside"
        yield (collection.name, version, state), 1.0
    for version in list(collection.coming):
        yield (collection.name, version, "coming"), 1.0
