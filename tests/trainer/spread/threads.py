"""A crew of workers in threads, in the place of Ray's actors: the workers are real."""

from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any

from trainer.spread.crew import Crew, Died, Member


class Threads(Crew):
    """Real workers, called in threads. kill: the number of the call that each member but the first dies in.

    A worker that dies has stored what it was given, and told nobody. gone: its node with it.
    """

    kill = 0
    gone = False

    def __init__(self, address: str, worker: Any, *arguments: Any, gpus: bool = False) -> None:
        self._worker, self._arguments = worker, arguments
        self.members = [Member(number, f"node {number}", {}) for number in range(2)]
        self._pool = ThreadPoolExecutor(2)
        self._calls = 0

    def __enter__(self) -> "Threads":
        for member in self.members:
            member.actor = self._worker(*self._arguments)
        return self

    def __exit__(self, *_: object) -> None:
        for member in self.members:
            getattr(member.actor, "close", lambda: None)()
        self._pool.shutdown()

    def call(self, member: Member, method: str, *arguments: Any) -> None:
        member.call = self._pool.submit(getattr(member.actor, method), *arguments)

    def ended(self, timeout: float | None = None) -> Iterator[Member]:
        calls: dict[Future[Any], Member] = {member.call: member for member in self.calling()}
        done, _ = wait(calls, timeout, FIRST_COMPLETED)
        yield from [calls[call] for call in done]

    def take(self, member: Member) -> Any:
        call, member.call = member.call, None
        told = call.result()
        self._calls += member.number
        if member.number and self._calls == self.kill:
            getattr(member.actor, "close", lambda: None)()
            raise Died
        return told

    def leave(self, member: Member) -> None:
        self.members.remove(member)
        member.call = None

    def again(self, member: Member) -> bool:
        if self.gone:
            self.members.remove(member)
            return False
        member.actor = self._worker(*self._arguments)
        return True
