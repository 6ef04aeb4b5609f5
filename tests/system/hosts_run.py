"""Three index hosts in network namespaces, with two replicas of every shard, and one of the hosts goes bad.

    sudo python -m tests.system.hosts_run [--seconds 8]

A host is partitioned (its veth is down), slowed by 200 ms, or loses half of the chunks of its bytes. Nothing
may fail, nothing may be wrong, and the 99th percentile stays within three times the quiet one.
"""

import argparse
import asyncio
import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc.aio
import numpy as np

from bench.service import free_ports
from spr.v1 import search_service_pb2 as pb
from spr.v1.search_service_pb2_grpc import SearchServiceStub
from tests.system.proxy import Proxy
from tests.system.world import SPR, collection
from tests.workers.ranker.factories import TEXTS

HOSTS, CLIENTS, TIMES = 3, 4, 3.0
SEARCHES = [f"{text} {number}" for number in range(4) for text in TEXTS]
QUIET, PARTITIONED, SLOWED, LOSING = "quiet", "partitioned", "slowed by 200 ms", "losing half"


def run(*command: str) -> None:
    subprocess.run(command, check=True, timeout=20)


@contextlib.contextmanager
def hosts() -> Iterator[list[str]]:
    """Make a namespace a host, with a veth of its own; yield its address. Needs root."""
    names = [f"spr{number}" for number in range(HOSTS)]
    try:
        for number, name in enumerate(names):
            run("ip", "netns", "add", name)
            run("ip", "link", "add", f"{name}-out", "type", "veth", "peer", "name", "eth0", "netns", name)
            run("ip", "address", "add", f"10.199.{number}.1/24", "dev", f"{name}-out")
            run("ip", "-netns", name, "address", "add", f"10.199.{number}.2/24", "dev", "eth0")
            for link in ("lo", "eth0"):
                run("ip", "-netns", name, "link", "set", link, "up")
            run("ip", "link", "set", f"{name}-out", "up")
        yield [f"10.199.{number}.2" for number in range(HOSTS)]
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "delete", name], check=False, timeout=20)


@dataclass
class Phase:
    """Searches while a host is bad. seconds: of each. wrong: answers that differ from the quiet ones."""

    name: str
    seconds: list[float] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    wrong: int = 0

    @property
    def p99(self) -> float:
        return float(np.percentile(self.seconds, 99))

    def line(self, quiet: float) -> str:
        count = f"{len(self.seconds):6} searches, {len(self.failed)} failed, {self.wrong} wrong"
        return f"{self.name:24} {count}, p99 {1e3 * self.p99:6.1f} ms ({self.p99 / quiet:.2f}x)"


@dataclass
class Service:
    """The processes, and who asks them."""

    folder: Path
    stub: Any
    expected: dict[str, list[Any]] = field(default_factory=dict)

    async def ask(self, text: str) -> list[Any]:
        response = await self.stub.Search(pb.SearchRequest(text=text, page_size=50), timeout=10)
        assert not response.coverage.degraded, list(response.coverage.unreachable)
        return [(m.video_id, str(m.span), m.score) for m in response.moments]

    async def searches(self, name: str, seconds: float) -> Phase:
        """Search from several clients, each its next one at once."""
        phase, ends = Phase(name), time.monotonic() + seconds

        async def client(number: int) -> None:
            turn = number
            while time.monotonic() < ends:
                turn += 1
                text, began = SEARCHES[turn % len(SEARCHES)], time.monotonic()
                try:
                    found = await self.ask(text)
                    phase.wrong += found != self.expected[text]
                except (grpc.aio.AioRpcError, AssertionError) as error:
                    code = error.code().name if isinstance(error, grpc.aio.AioRpcError) else "DEGRADED"
                    phase.failed.append(f"{code}: {error}"[:300])
                phase.seconds.append(time.monotonic() - began)

        await asyncio.gather(*(client(3 * number) for number in range(CLIENTS)))
        return phase


def topology(folder: Path, made: Path, addresses: list[str], proxies: list[Proxy], ports: list[int]) -> Path:
    """Write the topology: shard N lies on hosts N and N + 1, each reached through its proxy."""
    front, admin, ranker = ports
    lines = [f"collection = {json.dumps(str(made))}", 'log_level = "warning"', "[coordinator]"]
    lines += [f'listen = "127.0.0.1:{front}"', f'admin = "127.0.0.1:{admin}"']
    for proxy in proxies:
        host, port = proxy.target
        shard = (addresses.index(host) - port % 2) % HOSTS
        lines += ["[[index]]", f"shard = {shard}", f'listen = "{host}:{port}"']
        lines += [f'address = "127.0.0.1:{proxy.port}"']
    lines += ["[[ranker]]", f'listen = "127.0.0.1:{ranker}"', "threads = 1", 'device = "cpu"']
    lines += ['text_precision = "float32"']
    path = folder / "topology.toml"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


@contextlib.contextmanager
def processes(path: Path, proxies: list[Proxy], addresses: list[str]) -> Iterator[None]:
    """Run every process of the topology, index workers in their hosts' namespaces."""
    alone = ["--config", str(path), "--insecure"]
    commands = [[*SPR, "serve", "ranker", *alone]]
    for proxy in proxies:
        host, port = proxy.target
        inside = ["ip", "netns", "exec", f"spr{addresses.index(host)}"]
        commands.append([*inside, *SPR, "serve", "index", *alone, "--listen", f"{host}:{port}"])
    commands.append([*SPR, "serve", "coordinator", *alone])
    started = []
    try:
        with (path.parent / "log.jsonl").open("w") as log:
            for command in commands:
                started.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True))
        for process in started:
            assert process.stdout is not None
            assert json.loads(process.stdout.readline())["ready"], (path.parent / "log.jsonl").read_text()
        yield
    finally:
        for process in started:
            process.kill()
        for process in started:
            process.communicate()


def spoil(host: int, proxies: list[Proxy], way: str) -> None:
    """Make a host bad in one way, well again for ""."""
    run("ip", "link", "set", f"spr{host}-out", "down" if way == PARTITIONED else "up")
    for proxy in proxies:
        if proxy.target[0] == f"10.199.{host}.2":
            proxy.delay, proxy.lost = 0.2 * (way == SLOWED), 0.5 * (way == LOSING)


async def phases(service: Service, proxies: list[Proxy], seconds: float) -> list[Phase]:
    """Search while all is well, and while each host in turn is bad in each way."""
    for text in SEARCHES * 3:
        service.expected[text] = await service.ask(text)
    await service.searches("warm-up", seconds)
    found = []
    for host in range(HOSTS):
        found.append(await service.searches(QUIET, seconds))
        for way in (PARTITIONED, SLOWED, LOSING):
            spoil(host, proxies, way)
            found.append(await service.searches(f"host {host} {way}", seconds))
            spoil(host, proxies, "")
            # Workers are in rotation again before the next one goes bad.
            await service.searches("between", max(6.0, seconds / 2))
    return found


async def measure(folder: Path, seconds: float) -> list[Phase]:
    """Return what was found."""
    made = collection(folder / "collection", shards=HOSTS)
    with hosts() as addresses:
        # The two workers of a host: one at an even port, one at an odd one.
        places = [(host, 7410 + odd) for host in addresses for odd in (0, 1)]
        proxies = [Proxy(place, seed) for seed, place in enumerate(places)]
        for proxy in proxies:
            await proxy.start()
        ports = free_ports(3)
        path = topology(folder, made, addresses, proxies, ports)
        running = processes(path, proxies, addresses)
        # In a thread: the proxies have to run while the processes start.
        await asyncio.to_thread(running.__enter__)
        try:
            async with grpc.aio.insecure_channel(f"127.0.0.1:{ports[0]}") as channel:
                service = Service(folder, SearchServiceStub(channel))
                await whole(service)
                return await phases(service, proxies, seconds)
        finally:
            await asyncio.to_thread(running.__exit__, None, None, None)
            for proxy in proxies:
                await proxy.stop()


async def whole(service: Service) -> None:
    """Wait until an answer lacks nothing."""
    for _ in range(200):
        with contextlib.suppress(grpc.aio.AioRpcError, AssertionError):
            await service.ask(TEXTS[0])
            return
        await asyncio.sleep(0.2)
    raise TimeoutError("the service did not become whole")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seconds", type=float, default=8.0, help="of each phase")
    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(measure(Path(folder), parser.parse_args().seconds))
    # Of all quiet phases: other work on this machine comes and goes.
    quiet = Phase("", [one for phase in found if phase.name == QUIET for one in phase.seconds]).p99
    for phase in found:
        print(phase.line(quiet))
        for failure in phase.failed[:3]:
            print("   ", failure)
    return int(any(one.failed or one.wrong or one.p99 > TIMES * quiet for one in found))


if __name__ == "__main__":
    sys.exit(main())
