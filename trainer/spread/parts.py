"""The parts of a build on many machines: a task a shard; before, the vectors in stretches of videos."""

from collections import deque
from collections.abc import Sequence

import numpy as np

from engine.errors import Unavailable
from trainer.generation.config import BuildConfig
from trainer.generation.kit import Kit, OnProgress
from trainer.generation.making import Building, Vectors
from trainer.generation.plan import Plan
from trainer.spread.crew import Crew, Died, Member
from trainer.spread.part_worker import Made, PartWorker, Spec, Step

# Stretches of videos for each worker, so that all end together.
STRETCHES = 4
# Workers that may die over a task.
MOST = 3


class SpreadParts:
    """A `trainer.generation.making.Maker` whose parts are made by a crew."""

    def __init__(self, crew: Crew, config: BuildConfig) -> None:
        self._crew, self._config = crew, config

    def embed(self, plan: Plan, vectors: Vectors, on_progress: OnProgress) -> None:
        """See Maker."""
        starts = np.cumsum(plan.counts) - plan.counts
        count = STRETCHES * len(self._crew.members)
        stretch = np.minimum(starts * count // max(1, plan.segments), count - 1)
        tasks = [
            Building(vectors.path, [plan.ids[video] for video in of], starts[of], plan.counts[of])
            for number in range(count)
            if len(of := np.flatnonzero(stretch == number))
        ]
        steps = [Step("embed", task, vectors) for task in tasks]
        self._all(Spec.of(self._config, plan, None), steps, plan.segments, on_progress)

    def index(
        self, plan: Plan, kit: Kit, made: Sequence[Building], vectors: Vectors, on_progress: OnProgress
    ) -> None:
        """See Maker."""
        kit.save(self._config.collection)
        steps = [Step("index", building, vectors) for building in made]
        self._all(Spec.of(self._config, plan, kit), steps, plan.segments, on_progress)

    def complete(self, plan: Plan, kit: Kit, made: Sequence[Building], on_progress: OnProgress) -> list[str]:
        """See Maker."""
        kit.save(self._config.collection)
        steps = [Step("contexts", building) for building in made]
        return self._all(Spec.of(self._config, plan, kit), steps, plan.clips, on_progress)

    def _all(self, spec: Spec, steps: Sequence[Step], total: int, on_progress: OnProgress) -> list[str]:
        """Have all steps done, each by whoever is free; return what each gave."""
        waiting, results = deque(range(len(steps))), dict[int, str]()
        doing, done, deaths = dict[int, int](), [0] * len(steps), [0] * len(steps)
        if total:
            on_progress(steps[0].kind, 0, total)

        def give(member: Member) -> None:
            if waiting:
                doing[member.number] = waiting.popleft()
                self._crew.call(member, "begin", spec, steps[doing[member.number]])

        for member in self._crew.members:
            give(member)
        while len(results) < len(steps):
            for member in self._crew.ended():
                step = doing[member.number]
                try:
                    made: Made = self._crew.take(member)
                except Died:
                    deaths[step] += 1
                    waiting.append(step)
                    self._after_death(member, deaths[step], steps[step])
                else:
                    done[step] = made.done
                    if total:
                        on_progress(steps[step].kind, min(total, sum(done)), total)
                    if made.result is None:
                        self._crew.call(member, "go_on")
                        continue
                    results[step] = made.result
                for free in self._crew.members:
                    if free.call is None:
                        give(free)
        return [results[step] for step in range(len(steps))]

    def _after_death(self, member: Member, deaths: int, step: Step) -> None:
        if deaths >= MOST:
            raise Unavailable(f"{deaths} workers died over {step}; what is served is as it was")
        if not self._crew.again(member) and not self._crew.members:
            raise Unavailable("every worker of the Ray cluster is gone; what is served is as it was")


def crew_of(address: str, device: str) -> Crew:
    """Return workers that make parts; see `Crew`."""
    return Crew(address, PartWorker, gpus=device != "cpu")
