"""A service with clients that search it, and how each fault of the table is done to it."""

import contextlib
import random
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from engine import versions
from engine.errors import SprError
from recipes.chaos import clients, faults, service
from recipes.chaos.clients import Load
from recipes.chaos.operator import Operator
from recipes.chaos.oracle import Oracle
from recipes.chaos.service import Process, Service
from recipes.chaos.table import CHANGES, Cell
from recipes.chaos.topology import Setup
from recipes.chaos.world import World

# Many that pause: while some wait for a stalled process, others still ask.
CALLERS, PAUSE = 8, 0.15
UNDER_WAY = 0.1  # seconds after a change began, when a process of it is killed


@dataclass
class Stage:
    """A running service. spares: clips that may be added. quiet: seconds that searches took undisturbed."""

    name: str
    service: Service
    load: Load
    operator: Operator
    oracle: Oracle
    random: random.Random
    spares: tuple[Path, ...]
    quiet: list[float] = field(default_factory=list)

    def rest(self, seconds: float) -> None:
        """Let clients search undisturbed, and remember what they waited."""
        self.service.wait_until_whole()
        began = time.time()
        time.sleep(seconds)
        self.quiet += [told.seconds for told in self.load.between(began, time.time())]

    def befall(self, cell: Cell, seconds: float) -> float:
        """Do to the service what a cell says, for at least so many seconds; return when it was well again."""
        began = time.time()
        if cell.fault in CHANGES:
            well = self._change_under(cell)
        elif cell.fault == "full-disk":
            well = self._fill(cell.component)
        elif cell.fault == "flip":
            well = self._flip(cell.component, seconds)
        elif cell.fault == "restart":
            well = faults.restart(self.service, self.service.processes(cell.component))
        elif cell.fault == "kill":
            well = faults.kill(self.service, [self._one(cell.component)])
        elif cell.fault == "stop":
            well = faults.stop(self.service, [self._one(cell.component)])
        else:
            well = faults.slow([self._one(cell.component)], seconds)
        time.sleep(max(0.0, began + seconds - time.time()))
        return well

    def _one(self, role: str) -> Process:
        return self.random.choice(self.service.processes(role))

    def _change_under(self, cell: Cell) -> float:
        """Make a change; a process that takes part is killed when it is under way."""
        if cell.component == "none":
            self.change(cell.fault)
            return time.time()
        failures: list[SprError] = []
        changing = threading.Thread(target=_caught, args=(lambda: self.change(cell.fault), failures))
        changing.start()
        time.sleep(UNDER_WAY)
        well = faults.kill(self.service, [self._one(cell.component)])
        changing.join()
        if failures:
            raise failures[0]
        return max(well, time.time())

    def change(self, kind: str) -> None:
        """Change what is served; an activation or a rollback is undone at the end."""
        there = self.oracle.videos(versions.current(self.service.collection))
        if kind == "add":
            # Of what is there an add makes no version; the last one is there when all are.
            path = next((one for one in self.spares if one.stem not in there), self.spares[-1])
            self.operator.run(add=str(path))
        elif kind == "delete":
            self.operator.run(delete=next(one.stem for one in self.spares if one.stem in there))
        else:
            newest = versions.current(self.service.collection)
            if kind == "activate":
                self.operator.activate(versions.read(self.service.collection, newest).parent)
            else:
                self.operator.roll_back()
            self.operator.activate(newest)

    def _fill(self, role: str) -> float:
        """Change the collection while a component cannot write; what is refused works when it can again."""
        change, processes = "add" if role != "coordinator" else "activate", self.service.processes(role)
        faults.full_disk(processes, True)
        try:
            # In time: what is refused is refused at once, in a sentence.
            with contextlib.suppress(SprError):
                self.change(change)
        finally:
            faults.full_disk(processes, False)
        well = time.time()
        self.change(change)
        return well

    def _flip(self, role: str, seconds: float) -> float:
        """Damage the copy of one process, let it be found, and restore it."""
        victim = self._one(role)
        part = next(part for part in self.service.parts if part.listen == victim.listen)
        path = faults.file_of(self.service.copy(part), role)
        faults.flip(path)
        time.sleep(seconds)
        faults.flip(path)
        well = time.time()
        self.service.wait_until_whole()
        return well if self.service.setup.private else time.time()


def _caught(run: Callable[[], None], failures: list[SprError]) -> None:
    try:
        run()
    except SprError as error:
        failures.append(error)


@contextlib.contextmanager
def running(folder: Path, name: str, world: World, setup: Setup, seed: int) -> Iterator[Stage]:
    """Serve a copy of the world and search it for a block."""
    shutil.rmtree(folder / name, ignore_errors=True)
    collection = shutil.copytree(world.collection, folder / name / "collection")
    with (
        service.running(folder / name, collection, setup) as running_service,
        clients.searching(running_service.addresses, world.texts, CALLERS, PAUSE) as load,
    ):
        oracle = Oracle(collection, service.SEGMENTS, clients.PAGE)
        operator = Operator(running_service.admins, collection, name)
        chance = random.Random(seed)
        stage = Stage(name, running_service, load, operator, oracle, chance, world.spares)
        if not setup.private:
            # Two videos to delete, two versions to go back to.
            stage.change("add")
            stage.change("add")
        yield stage
