"""The versions that an oracle holds, and gates that stop it for a while."""

import functools
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from engine.errors import Mismatch, NotFound, SprError
from engine.protocol import PROTOCOL
from spr.internal.v1 import version_service_pb2, version_service_pb2_grpc
from tests.engine.corpus import MODEL, RANKER, Corpus
from workers.duty import Duty

Call = TypeVar("Call", bound=Callable[..., Any])


class Held:
    """Calls pass while `open` is set, probes while `info` is; otherwise they wait, as if stopped."""

    def __init__(self) -> None:
        self.open, self.info = threading.Event(), threading.Event()
        self.open.set()
        self.info.set()
        self.calls = self.waiting = 0

    def enter(self) -> None:
        self.calls += 1
        self.waiting += not self.open.is_set()
        self.open.wait(20)


def on_duty(method: Call) -> Call:
    """Count a method's calls, and refuse them while the oracle drains."""

    @functools.wraps(method)
    def call(self: "Versions", request: Any, context: Any) -> Any:
        with self.duty:
            return method(self, request, context)

    return call  # type: ignore[return-value]


class Versions(version_service_pb2_grpc.VersionServiceServicer):
    """The versions that an oracle holds, at first all of `library`, by id.

    refusing: what it answers when it is asked to prepare a version. changed: faults of what it holds.
    """

    def __init__(self, library: dict[str, Corpus]) -> None:
        self.library, self.versions = library, dict(library)
        self.refusing: dict[str, SprError] = {}
        self.changed: dict[str, str] = {}
        self.preparing = Held()
        self.duty, self.protocol = Duty(), PROTOCOL

    def PrepareVersion(self, request: Any, context: Any) -> version_service_pb2.PrepareVersionResponse:
        self.preparing.enter()
        if request.version in self.refusing:
            raise self.refusing[request.version]
        if request.version not in self.library:
            raise NotFound(f"there is no version {request.version}", "GENERATION_NOT_FOUND")
        self.versions[request.version] = self.library[request.version]
        return version_service_pb2.PrepareVersionResponse()

    def DropVersion(self, request: Any, context: Any) -> version_service_pb2.DropVersionResponse:
        self.versions.pop(request.version, None)
        return version_service_pb2.DropVersionResponse()

    def Drain(self, request: Any, context: Any) -> version_service_pb2.DrainResponse:
        self.duty.drain(not request.undo)
        return version_service_pb2.DrainResponse(report=self.report())

    def report(self) -> version_service_pb2.WorkerReport:
        report = self.duty.report()
        report.protocol = self.protocol
        return report

    def refuse(self, why: str = "its disk is bad") -> None:
        """Lose every version, and refuse to prepare them again."""
        self.refusing = {version: Mismatch(why, "GENERATION_CORRUPT") for version in self.library}
        self.versions.clear()

    def of(self, version: str) -> Corpus:
        if version not in self.versions:
            raise Mismatch(f"version {version} is not held", "GENERATION_MISMATCH")
        return self.versions[version]

    def listing(self, shard: int | None = None) -> list[version_service_pb2.HeldVersion]:
        return [
            version_service_pb2.HeldVersion(
                collection=corpus.name,
                version=version,
                embedding_model=MODEL,
                videos=corpus.videos if shard is None else len(corpus.of_shard(shard)),
                ranker_model=RANKER if shard is None else "",
                fault=self.changed.get(version, ""),
            )
            for version, corpus in list(self.versions.items())
        ]
