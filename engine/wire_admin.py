"""What is served, by whom -> the messages of the admin service."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from engine import versions, wire, wire_texts
from engine.entries import Version
from engine.errors import SprError
from engine.recent import Recent
from engine.served import ServedCollection
from engine.texts import TEXTS
from engine.worker_state import WorkerState
from spr.v1 import admin_service_pb2 as admin_pb

_ROLES = {
    "index": admin_pb.Worker.ROLE_INDEX,
    "ranker": admin_pb.Worker.ROLE_RANKER,
    "encoder": admin_pb.Worker.ROLE_ENCODER,
    "library": admin_pb.Worker.ROLE_LIBRARY,
}
_STATES = {
    "serving": admin_pb.Worker.STATE_SERVING,
    "not serving": admin_pb.Worker.STATE_NOT_SERVING,
    "unreachable": admin_pb.Worker.STATE_UNREACHABLE,
    "draining": admin_pb.Worker.STATE_DRAINING,
}


def collection_to_pb(collection: ServedCollection, workers: Sequence[WorkerState]) -> admin_pb.Collection:
    """Return a collection at its active version; where there is none its name, newest version and fault."""
    described = admin_pb.Collection(
        name=collection.name, newest_generation=collection.newest, fault=collection.fault
    )
    if collection.active is None:
        return described
    version = collection.active.corpus.version
    held = [worker.held.get(version.id) for worker in workers if worker.role == "ranker"]
    rankers = [one.ranker_model for one in held if one is not None and one.ranker_model]
    described.generation = version.id
    described.embedding_model = version.embedding_model
    described.ranker_model = rankers[0] if rankers else ""
    described.videos, described.segments = version.videos, version.segments
    described.segment_length.CopyFrom(wire.duration_to_pb(version.segment_length))
    described.shard_count = len(version.shards)
    described.index_factory = version.factory
    described.parts, described.deleted_videos = _parts(version)
    described.create_time.FromDatetime(datetime.fromisoformat(version.created))
    if version.texts is not None:
        parts = collection.active.corpus.parts
        having = [channel for channel in TEXTS if any(part.about.files_of(channel) for part in parts)]
        described.text_channels.extend(wire_texts.channels_to_pb(having))
        if (encoder := version.texts.encoder) is not None:
            described.text_encoder = f"{encoder.source}@{encoder.fingerprint}"
    return described


def worker_to_pb(worker: WorkerState, collection: ServedCollection) -> admin_pb.Worker:
    """Return a worker's state as far as one collection is concerned."""
    message = admin_pb.Worker(
        role=_ROLES[worker.role],
        name=worker.name,
        target=worker.target,
        state=_STATES[worker.state],
        bytes_resident=worker.bytes_resident,
        last_error=worker.why,
        calls=None if worker.calls is None else recent_to_pb(worker.calls),
        outstanding=worker.outstanding,
        calls_in_flight=worker.report.calls_in_flight,
        calls_waiting=worker.report.calls_waiting,
        protocol=worker.report.protocol,
    )
    mine = [held for held in worker.held.values() if held.collection == collection.name]
    held = worker.held.get(collection.active_id) or max(mine, key=lambda one: one.version, default=None)
    if held is not None:
        message.generation, message.videos, message.segments = held.version, held.videos, held.segments
    return message


def recent_to_pb(calls: Recent) -> admin_pb.RecentCalls:
    """Return the calls that ended lately."""
    found = calls.summary()
    message = admin_pb.RecentCalls(per_second=found.per_second)
    if found.p50 is not None and found.p99 is not None:
        message.p50.CopyFrom(wire.duration_to_pb(found.p50))
        message.p99.CopyFrom(wire.duration_to_pb(found.p99))
    return message


def versions_to_pb(directory: Path, active: str) -> list[admin_pb.Version]:
    """Return all versions of a collection, newest first; of one that cannot be used the reason."""
    current = versions.newest(directory)
    return [
        _version_to_pb(directory, number, active, current) for number in reversed(versions.numbers(directory))
    ]


def _version_to_pb(directory: Path, number: int, active: str, current: str) -> admin_pb.Version:
    try:
        version = versions.read(directory, str(number))
    except SprError as error:
        return admin_pb.Version(number=number, fault=str(error))
    parts, deleted = _parts(version)
    message = admin_pb.Version(
        id=version.id,
        number=number,
        parent=version.parent,
        reason=version.reason,
        videos=version.videos,
        segments=version.segments,
        parts=parts,
        deleted_videos=deleted,
        embedding_model=version.embedding_model,
        ranker_model=f"relo@{version.ranker.fingerprint}" if version.ranker else "",
        active=version.id == active,
        current=version.id == current,
    )
    message.create_time.FromDatetime(datetime.fromisoformat(version.created))
    return message


def _parts(version: Version) -> tuple[int, int]:
    """Return the number of parts, and of videos that are deleted from them."""
    return len(version.parts), sum(sum(part.deleted[1::2]) for part in version.parts)
