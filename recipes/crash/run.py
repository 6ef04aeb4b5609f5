"""A run of the crasher: strikes are dealt, and after each all is held against what must be there."""

import shutil
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from engine.errors import SprError
from recipes.chaos import clients, faults, service, world
from recipes.chaos.clients import Load, Told
from recipes.chaos.operator import Operator
from recipes.chaos.oracle import Oracle
from recipes.chaos.service import START, Service
from recipes.chaos.topology import Setup
from recipes.crash import schedule
from recipes.crash.deeds import Deeds
from recipes.crash.schedule import Strike

CALLERS, PAUSE = 4, 0.1
# Kinds of errors that no dying process explains.
DEFECTS = ("INTERNAL", "UNKNOWN", "DATA_LOSS", "INVALID_ARGUMENT", "UNIMPLEMENTED")


@dataclass
class Crash:
    """A run. violations: what must never be, a sentence each, with when: seconds since the beginning."""

    seed: int
    began: float = field(default_factory=time.monotonic)
    strikes: list[dict[str, object]] = field(default_factory=list)
    searches: int = 0
    partial: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)

    def violated(self, sentences: Sequence[str]) -> None:
        """Note violations, and say them."""
        for sentence in sentences:
            self.violations.append(f"{time.monotonic() - self.began:.0f} s: {sentence}")
            print(f"violation at {self.violations[-1]}", flush=True)

    def judge(self, told: Sequence[Told], oracle: Oracle) -> None:
        """Hold answers against the oracle."""
        self.searches += len(told)
        self.partial += sum(bool(one.partial) for one in told)
        self.failed.update(one.error.partition(":")[0] for one in told if one.error)
        self.violated(clients.wrong(told, oracle)[:5])
        self.violated([one.error for one in told if one.error.startswith(DEFECTS)][:5])


def crash(folder: Path, seed: int, seconds: float) -> tuple[Crash, Deeds]:
    """Run the service in a folder under strikes for so many seconds; see the module."""
    made = world.make(folder / "world")
    shutil.rmtree(folder / "run", ignore_errors=True)
    collection = shutil.copytree(made.collection, folder / "run" / "collection")
    oracle = Oracle(collection, service.SEGMENTS, clients.PAGE)
    run = Crash(seed)
    with service.running(folder / "run", collection, Setup()) as serving:
        run.began, ends = time.monotonic(), time.monotonic() + seconds
        deeds = Deeds(collection, made.spares, Operator(serving.admins, collection, "crash"), oracle)
        searching = clients.searching(serving.addresses, made.texts, CALLERS, PAUSE)
        with searching as load, deeds.going_on(seed):
            for strike in schedule.strikes(seed):
                if time.monotonic() + strike.gap > ends:
                    break
                time.sleep(strike.gap)
                run.strikes.append(asdict(strike))
                try:
                    _deal(serving, strike)
                    _check(run, serving, deeds, load, oracle)
                except SprError as error:
                    run.violated([f"after {strike}: {error}; the log is {serving.log}"])
                    break
    return run, deeds


def _deal(serving: Service, strike: Strike) -> None:
    if strike.kind == "pull":
        serving.kill()
        serving.start()
        return
    processes = serving.processes(strike.role)
    one = [processes[strike.number % len(processes)]]
    if strike.kind == "kill":
        faults.kill(serving, one)
    elif strike.kind == "stop":
        faults.stop(serving, one, strike.seconds)
    else:
        faults.slow(one, strike.seconds)


def _check(run: Crash, serving: Service, deeds: Deeds, load: Load, oracle: Oracle) -> None:
    """Wait until all is whole again, and look whether everything is there and every answer was right."""
    with deeds.paused():
        serving.wait_until_whole(START)
        deeds.check()
        run.violated(deeds.violations)
        deeds.violations.clear()
    run.judge(load.taken(), oracle)
