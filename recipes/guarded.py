"""What TLS, tokens, metrics and traces cost: processor seconds a search, with and without them.

    python -m recipes.guarded [--searches 4000] [--clients 32]

Two services are asked in turn, so that a machine with other work says the same.
"""

import argparse
import contextlib
import os
import resource
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc

from bench.service import free_ports
from engine.access.settings import of_folder
from recipes.chaos import topology, world
from recipes.chaos.service import wait_until
from recipes.chaos.topology import Setup
from recipes.steps import SPR
from spr_client import Client, Tls

ROUNDS = 8
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Service:
    """pids: of its processes and the supervisor. metrics: where each tells its own."""

    address: str
    pids: tuple[int, ...]
    metrics: tuple[str, ...]
    tls: Tls | None = None
    token: str | None = None
    clients: list[Client] = field(default_factory=list)

    def seconds(self) -> float:
        """Return the processor seconds that all processes used."""
        stats = [
            Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2] for pid in self.pids
        ]
        return sum(int(field) for stat in stats for field in stat.split()[11:13]) / TICKS

    def ask(self, texts: tuple[str, ...], searches: int, clients: int) -> None:
        """Let so many clients, the same each time, search at once; a Prometheus looks once."""
        while len(self.clients) < clients:
            self.clients.append(Client(self.address, tls=self.tls, token=self.token))

        def search(first: int) -> None:
            for number in range(first, searches, clients):
                self.clients[first].search(texts[number % len(texts)], timeout=60.0)

        with ThreadPoolExecutor(clients) as pool:
            list(pool.map(search, range(clients)))
        for address in self.metrics:
            with urllib.request.urlopen(f"http://{address}/metrics", timeout=10) as page:
                page.read()


@contextlib.contextmanager
def serving(folder: Path, collection: Path, collector: str) -> Iterator[Service]:
    """Serve a copy of a collection; guarded where `collector`, the address for traces, is not empty."""
    parts = topology.parts(Setup(replicas=1, rankers=1, sentences=256))
    shutil.rmtree(folder, ignore_errors=True)
    own = shutil.copytree(collection, folder / "collection")
    path = topology.write(folder / "topology.toml", own, parts, {"segment_top_k": 60})
    metrics, tls, token = tuple[str, ...](), None, None
    if collector:
        metrics = tuple(f"127.0.0.1:{port}" for port in free_ports(len(parts)))
        token = _guard(path, collector, {p.listen: at for p, at in zip(parts, metrics, strict=True)})
        tls = Tls(folder / "access" / "authority.pem")
    with (folder / "serve.log").open("w", encoding="utf-8") as log:
        command = [*SPR, "serve", str(path), "--json"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
    try:
        assert process.stdout is not None
        process.stdout.readline()
        listed = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        # The library starts last; searches do not wait for it.
        wait_until(lambda: len(listed.read_text().split()) == len(parts), "every process runs")
        pids = (process.pid, *map(int, listed.read_text(encoding="utf-8").split()))
        yield Service(parts[0].listen, pids, metrics[:-1], tls, token)
    finally:
        process.terminate()
        process.wait(60)


def _guard(path: Path, collector: str, metrics: dict[str, str]) -> str:
    """Write all that guards and watches into a topology; return a token."""
    folder = path.parent / "access"
    subprocess.run([*SPR, "access", "certificates", str(folder)], check=True, capture_output=True)
    command = [*SPR, "access", "token", "bench", "--scope", "search", "--expires", "1d"]
    made = subprocess.run([*command, "--folder", str(folder)], check=True, capture_output=True)
    text = path.read_text(encoding="utf-8")
    for listen, address in metrics.items():
        line = f'listen = "{listen}"\n'
        text = text.replace(line, f'{line}metrics = "{address}"\n')
    text += "[access]\n" + "".join(f'{name} = "{file}"\n' for name, file in of_folder(folder).items())
    text += f'[tracing]\nendpoint = "http://{collector}"\nsample = 0.01\n'
    path.write_text(text, encoding="utf-8")
    return made.stdout.decode().split()[-1]


@contextlib.contextmanager
def collecting() -> Iterator[str]:
    """Take traces, whatever they are, at an address."""

    class Taker(grpc.GenericRpcHandler):
        def service(self, handler_call_details: grpc.HandlerCallDetails) -> "grpc.RpcMethodHandler[Any, Any]":
            return grpc.unary_unary_rpc_method_handler(lambda request, context: b"")

    server = grpc.server(ThreadPoolExecutor(1), handlers=[Taker()])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(None)


def main() -> None:
    """Print the milliseconds of the service and of its clients for a search."""
    parser = argparse.ArgumentParser(prog="python -m recipes.guarded", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("build/guarded"))
    parser.add_argument("--searches", type=int, default=4000, help="of each service")
    parser.add_argument("--clients", type=int, default=32)
    options = parser.parse_args()
    out, each = options.out.resolve(), options.searches // ROUNDS
    made = world.make(out / "world")
    with (
        collecting() as collector,
        serving(out / "plain", made.collection, "") as plain,
        serving(out / "guarded", made.collection, collector) as guarded,
    ):
        used = {"plain": [0.0, 0.0], "guarded": [0.0, 0.0]}
        for number in range(-1, ROUNDS):
            for name, service in (("plain", plain), ("guarded", guarded)):
                before, mine = service.seconds(), resource.getrusage(resource.RUSAGE_SELF)
                service.ask(made.texts, each, options.clients)
                own = resource.getrusage(resource.RUSAGE_SELF)
                if number >= 0:  # the first warms up
                    used[name][0] += service.seconds() - before
                    used[name][1] += own.ru_utime + own.ru_stime - mine.ru_utime - mine.ru_stime
    for name, (service_seconds, client_seconds) in used.items():
        told = [1000 * seconds / (each * ROUNDS) for seconds in (service_seconds, client_seconds)]
        print(f"{name:8} {told[0]:6.2f} ms of the service, {told[1]:5.2f} ms of the clients a search")
    ratio = sum(used["guarded"]) / sum(used["plain"]) - 1
    print(f"guarded costs {ratio:+.1%} processor time a search")


if __name__ == "__main__":
    main()
