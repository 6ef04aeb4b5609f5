"""Load from processes of its own: calls at a fixed rate whatever comes back, or clients that wait.

`python -m bench.open_loop`, one JSON object of the fields of `Asked` on stdin; what came back, the fields of
`Outcomes`, on stdout.
"""

import asyncio
import dataclasses
import json
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import grpc
import grpc.aio
import numpy as np

from spr.v1.search_service_pb2 import SearchRequest
from spr.v1.search_service_pb2_grpc import SearchServiceStub

CHANNELS = 4
FASTEST = 600.0  # calls a second that one process sends on time
PAUSE = 0.2  # seconds that a client waits after a refusal
RAMP = 0.25  # of the seconds: not counted


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """How to ask. rate: calls a second, open loop; 0: `clients` that each wait for their answer.

    deadline: of each call. new: every so many-th sentence was never asked before; 0: none.
    """

    address: str
    texts: Sequence[str]
    seconds: float
    deadline: float
    rate: float = 0.0
    clients: int = 0
    new: int = 2


@dataclass(slots=True)
class Outcomes:
    """What came back within the counted `seconds`. whole: milliseconds of each complete answer in time.

    refused: milliseconds of each refusal with a time to retry. others: how many calls ended otherwise, by
    status, PARTIAL for answers that lack something. sent: calls a second that really went out.
    """

    seconds: float = 0.0
    sent: float = 0.0
    whole: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    others: dict[str, int] = field(default_factory=dict)

    @property
    def goodput(self) -> float:
        """Complete answers in time, a second."""
        return len(self.whole) / self.seconds

    def refused_ms(self, share: float) -> float:
        """Return the milliseconds that `share` (0..1) of the refusals took at most, 0 without any."""
        return float(np.quantile(self.refused, share)) if self.refused else 0.0


def load(asked: Asked) -> Outcomes:
    """Load a service from as many processes as the rate needs; return all they saw."""
    processes = max(1, -(-int(asked.rate) // int(FASTEST)))
    line = json.dumps(dataclasses.asdict(dataclasses.replace(asked, rate=asked.rate / processes)))
    with ThreadPoolExecutor(processes) as pool:
        parts = [json.loads(out) for out in pool.map(_process, [line] * processes)]
    total = Outcomes()
    for part in parts:
        total.seconds = part["seconds"]
        total.sent += part["sent"]
        total.whole += part["whole"]
        total.refused += part["refused"]
        for kind, count in part["others"].items():
            total.others[kind] = total.others.get(kind, 0) + count
    return total


def _process(line: str) -> str:
    """Have a process of its own ask as `line` says; return what it prints."""
    command = [sys.executable, "-m", "bench.open_loop"]
    return subprocess.run(command, input=line, stdout=subprocess.PIPE, text=True, check=True).stdout


async def _run(asked: Asked) -> Outcomes:
    out = Outcomes(seconds=asked.seconds * (1 - RAMP))
    options = [("grpc.use_local_subchannel_pool", 1)]
    channels = [grpc.aio.insecure_channel(asked.address, options) for _ in range(CHANNELS)]
    stubs: list[Any] = [SearchServiceStub(channel) for channel in channels]
    began = time.perf_counter()
    window = (began + RAMP * asked.seconds, began + asked.seconds)
    sentences = _sentences(asked)

    async def one(number: int) -> bool:
        return await _one(stubs[number % CHANNELS], next(sentences), asked.deadline, window, out)

    async def client(number: int) -> None:
        while time.perf_counter() < window[1]:
            if not await one(number):
                await asyncio.sleep(PAUSE)

    if asked.rate:
        await _at_rate(one, asked, began, out)
    else:
        await asyncio.gather(*(client(number) for number in range(asked.clients)))
    for channel in channels:
        await channel.close()
    return out


async def _at_rate(
    one: Callable[[int], Coroutine[Any, Any, bool]], asked: Asked, began: float, out: Outcomes
) -> None:
    """Call `one(number)` at the rate, without waiting for it."""
    sent, tasks = 0, set[asyncio.Task[bool]]()
    while (now := time.perf_counter() - began) < asked.seconds:
        while sent < now * asked.rate:
            task = asyncio.create_task(one(sent))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            sent += 1
        await asyncio.sleep(0.001)
    out.sent = sent / (time.perf_counter() - began)
    for task in list(tasks):
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _one(stub: Any, text: str, deadline: float, window: tuple[float, float], out: Outcomes) -> bool:
    """Ask once and count what comes back; return whether it was an answer."""
    began = time.perf_counter()
    kind, failure = "", None
    try:
        answer = await stub.Search(SearchRequest(text=text), timeout=deadline)
        kind = "PARTIAL" if answer.coverage.degraded else "whole"
    except grpc.aio.AioRpcError as error:
        kind, failure = error.code().name, error
    ended = time.perf_counter()
    if not window[0] <= ended <= window[1]:
        return failure is None
    if kind == "whole":
        out.whole.append(1000 * (ended - began))
    elif failure is not None and kind == "RESOURCE_EXHAUSTED" and failure.trailing_metadata():
        out.refused.append(1000 * (ended - began))
    else:
        out.others[kind] = out.others.get(kind, 0) + 1
    return failure is None


def _sentences(asked: Asked) -> Iterator[str]:
    # Apart from those of other processes and earlier runs.
    number, own = 0, time.time_ns() % 10**9
    while True:
        text = asked.texts[number % len(asked.texts)]
        yield f"{text} {own + number}" if asked.new and number % asked.new == 0 else text
        number += 1


def main() -> int:
    """Ask as stdin says."""
    outcomes = asyncio.run(_run(Asked(**json.loads(sys.stdin.read()))))
    print(json.dumps(dataclasses.asdict(outcomes)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
