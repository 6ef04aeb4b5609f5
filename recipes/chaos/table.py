"""The table: which fault befalls which component, and the outcome that is declared for it."""

from collections.abc import Iterator
from dataclasses import dataclass

from recipes.chaos.topology import Setup

COMPONENTS = ("index", "ranker", "coordinator", "library")
PROCESS_FAULTS = ("kill", "stop", "slow", "full-disk", "restart")
CHANGES = ("activate", "rollback", "add", "delete")
FAULTS = (*PROCESS_FAULTS, "flip", *CHANGES)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is declared. No answer may ever be wrong: differ from its version's oracle without saying so.

    failed, partial: whether searches may fail, and answers say that they are not whole. slower: times the
    quiet p99 that the cell's may be; 0: any. back: seconds after the processes are well from which all is
    whole again.
    """

    name: str
    failed: bool = False
    partial: bool = False
    slower: float = 3.0
    back: float = 1.0


UNHARMED = Outcome("unharmed")
# What nobody else can do is missed, and said.
STATED = Outcome("stated", partial=True, slower=0.0)
# Without a coordinator nobody can say anything.
SILENT = Outcome("silent", failed=True, partial=True, slower=0.0)


@dataclass(frozen=True, slots=True)
class Cell:
    """A fault of a component. component: of a change, the one that is killed during it; "none": none is."""

    stage: str
    fault: str
    component: str
    outcome: Outcome

    @property
    def name(self) -> str:
        """As `--only` has it."""
        return f"{self.fault}:{self.component}"


def stages(coordinators: int) -> dict[str, Setup]:
    """Return the services that are started, by name."""
    return {
        "replicated": Setup(coordinators=coordinators),
        "private": Setup(private=True, coordinators=coordinators),
        "single": Setup(replicas=1, rankers=1, sentences=256),
    }


def cells(coordinators: int) -> list[Cell]:
    """Return the whole table, stage by stage."""
    return [*_replicated(coordinators), *_private(), *_single()]


def _replicated(coordinators: int) -> Iterator[Cell]:
    for component in COMPONENTS:
        alone = component == "coordinator" and coordinators == 1
        for fault in PROCESS_FAULTS:
            harm = alone and fault in ("kill", "stop", "slow")
            yield Cell("replicated", fault, component, SILENT if harm else UNHARMED)
    for change in CHANGES:
        for component in ("none", *COMPONENTS):
            alone = component == "coordinator" and coordinators == 1
            yield Cell("replicated", change, component, SILENT if alone else UNHARMED)


def _private() -> Iterator[Cell]:
    # A damaged copy is one machine's: the others serve on.
    for component in COMPONENTS:
        yield Cell("private", "flip", component, UNHARMED)


def _single() -> Iterator[Cell]:
    for component in ("index", "ranker"):
        for fault in (*PROCESS_FAULTS, "flip"):
            yield Cell("single", fault, component, UNHARMED if fault == "full-disk" else STATED)
    for change in CHANGES:
        yield Cell("single", change, "none", UNHARMED)


def chosen(only: list[str], coordinators: int) -> list[Cell]:
    """Return the cells that are named "fault:component", either of them empty for all; all for no name."""
    wanted = [name.partition(":") for name in only] or [("", "", "")]
    return [
        cell
        for cell in cells(coordinators)
        if any(fault in ("", cell.fault) and part in ("", cell.component) for fault, _, part in wanted)
    ]
