"""What a probe found of a worker, and whether it fits what is served."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from engine.entries import Version
from engine.recent import Recent
from engine.served import ServedCollection
from spr.internal.v1.version_service_pb2 import HeldVersion, WorkerReport

Role = Literal["index", "ranker", "encoder", "library"]
State = Literal["serving", "not serving", "unreachable", "draining"]


@dataclass(frozen=True, slots=True)
class WorkerState:
    """The result of a worker's last probe.

    reached: whether it answered. late: whether the probe timed out. fault: what is wrong with the process.
    problems: why it does not answer from a collection's active version, by the collection's name. held: what
    it holds, by the version's id. last_error: of a call that it answered badly. report: what it says of
    itself. calls: those that this coordinator made, `outstanding` of which are open. shards: whose contexts
    a ranker has as the topology says; None: all.
    """

    role: Role
    name: str
    target: str
    reached: bool = False
    late: bool = False
    fault: str = ""
    problems: Mapping[str, str] = field(default_factory=dict)
    held: Mapping[str, HeldVersion] = field(default_factory=dict)
    last_error: str = ""
    bytes_resident: int = 0
    report: WorkerReport = field(default_factory=WorkerReport)
    calls: Recent | None = None
    outstanding: int = 0
    shards: frozenset[str] | None = None

    @property
    def state(self) -> State:
        """Return how it does, over all collections."""
        if not self.reached:
            return "unreachable"
        if self.fault or self.problems:
            return "not serving"
        return "draining" if self.report.draining else "serving"

    @property
    def why(self) -> str:
        """Return why it does not serve, or has answered badly lately; "" when it is well."""
        problem = "; ".join(self.problems.values())
        return self.fault or problem or (f"last error: {self.last_error}" if self.last_error else "")

    def concerns(self, collection: ServedCollection) -> bool:
        """Whether a collection's active version needs it: a ranker, or a worker of one of its shards."""
        if collection.active is None or self.role == "library":
            return False
        shards = collection.active.corpus.version.shards
        return self.role in ("ranker", "encoder") or any(shard.name == self.name for shard in shards)

    def serves(self, collection: ServedCollection) -> bool:
        """Whether it answers new searches from a collection's active version."""
        well = self.reached and not self.fault and not self.report.draining
        well = well and collection.name not in self.problems
        return well and self.concerns(collection)


def unfit(role: Role, held: HeldVersion, version: Version) -> str:
    """Return why a version that a worker holds is not the one that is served, "" if it is."""
    if held.fault:
        return held.fault
    if held.embedding_model != version.embedding_model:
        return f"uses model {held.embedding_model}, the version needs {version.embedding_model}"
    if role == "index" and held.quantizer_sha256 != version.quantizer_sha256:
        return "has another quantizer than the version, so its scores do not compare"
    return ""


def lacking(held: HeldVersion, version: Version, shards: frozenset[str] | None = None) -> list[str]:
    """Return the shards of a version whose contexts a ranker does not report, of those it should have.

    shards: as the topology says; None: all. One that reports none holds all, of an earlier release.
    """
    wanted = {one.name for one in version.shards if shards is None or one.name in shards}
    return sorted(wanted - set(held.shards)) if held.shards else []
