"""The processes of a topology that changes: started when it has them, stopped when nobody asks them."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from engine.config import Topology
from engine.errors import InvalidInput
from engine.processes import ManagedProcess, Program, close, programs
from engine.topology_file import TopologyFile

_log = logging.getLogger("spr.supervisor")


@dataclass(frozen=True, slots=True)
class Followed:
    """The programs of a topology that has changed, and the mark of its file."""

    programs: Sequence[Program]
    mark: str


def of_file(topology: Topology, as_asked: Callable[[Topology], Topology]) -> Callable[[], Followed | None]:
    """Return what looks at a topology's file, and tells the programs when it has changed.

    as_asked: a topology that was read again, with what the command line says.
    """
    file = TopologyFile(topology.path) if topology.path.is_file() else None

    def look() -> Followed | None:
        read = file.look() if file else None
        if read is None or file is None:
            return None
        try:
            made = programs(as_asked(read))
        except InvalidInput as error:
            file.refuse(str(error))
            return None
        file.accept()
        return Followed(made, file.mark)

    return look


class Following:
    """Keeps the children of a supervisor at what `look` returns, None for no change."""

    def __init__(
        self,
        look: Callable[[], Followed | None],
        children: list[ManagedProcess],
        start: Callable[[ManagedProcess], None],
    ) -> None:
        self._look, self._children, self._start = look, children, start
        self._mark: str | None = None

    def look(self) -> None:
        """Start what a changed topology adds; what it removes is stopped by `stop_removed`."""
        followed = self._look()
        if followed is None:
            return
        self._mark, left = followed.mark, {child.program.key: child for child in self._children}
        for program in followed.programs:
            child = left.pop(program.key, None)
            if child is None:
                _log.info("%s was added to the topology", program.label)
                self._children.append(child := ManagedProcess(program))
                self._start(child)
            # What else has changed is for its next start.
            child.program, child.removed = program, False
        for child in left.values():
            child.removed = True

    def stop_removed(self) -> None:
        """Stop what the topology has no more and no coordinator asks; its calls in flight are answered."""
        if not self._is_used():
            return
        for child in [child for child in self._children if child.removed]:
            if child.process is None:
                self._children.remove(child)
            elif not child.stopping:
                _log.info("%s was removed from the topology", child.program.label)
                child.stopping = True
                child.process.terminate()
                close(child.process)

    def forget(self, child: ManagedProcess) -> bool:
        """Whether a process that ended was stopped here; it is no child any more then."""
        if child.stopping and child.removed:
            self._children.remove(child)
            return True
        child.stopping = False
        return False

    def _is_used(self) -> bool:
        """Whether every coordinator that serves uses the topology of now."""
        fronts = [one for one in self._children if one.program.role == "coordinator" and one.ready]
        return bool(fronts) and all(one.uses == self._mark for one in fronts)
