"""Tasks that any worker can do, such as shares of queries: each goes to whoever is free."""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from engine.errors import Unavailable
from trainer.spread.crew import Crew, Died, Member

# Workers that may die over a task.
MOST = 3


def all_done(
    crew: Crew, method: str, tasks: Sequence[Any], on_done: Callable[[int], None] = lambda _: None
) -> list[Any]:
    """Return what a method of the workers gives for each task; on_done: told the number of those done.

    Raises what a worker raises; Unavailable where three died over a task, or none is left.
    """
    waiting, doing = deque(range(len(tasks))), dict[int, int]()
    results, deaths = dict[int, Any](), [0] * len(tasks)

    def give(member: Member) -> None:
        if waiting:
            doing[member.number] = waiting.popleft()
            crew.call(member, method, tasks[doing[member.number]])

    while len(results) < len(tasks):
        for free in crew.members:
            if free.call is None:
                give(free)
        for member in crew.ended():
            task = doing[member.number]
            try:
                results[task] = crew.take(member)
                on_done(len(results))
            except Died:
                deaths[task] += 1
                waiting.appendleft(task)
                if deaths[task] >= MOST:
                    raise Unavailable(f"{MOST} workers died over one share of the work; try again") from None
                if not crew.again(member) and not crew.members:
                    raise Unavailable("every worker of the Ray cluster is gone; try again") from None
    return [results[task] for task in range(len(tasks))]


def stretches(count: int, of: int) -> list[slice]:
    """Return `count` places in stretches of so many.

    >>> stretches(5, 2)
    [slice(0, 2, None), slice(2, 4, None), slice(4, 5, None)]
    """
    return [slice(first, min(first + of, count)) for first in range(0, count, of)]
