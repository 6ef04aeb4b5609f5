"""The commands of deploy/k8s, each as in a pod with an address of its own; the services' names are in DNS."""

import contextlib
import functools
import os
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.access import making
from spr_client import Client, Tls
from tests.deploy import manifests
from tests.engine.credentials import Credentials
from tests.engine.nameserver import nameserver
from tests.system import world
from tests.system.service import until
from tests.system.world import SPR
from tests.workers.ranker.factories import TEXTS

pytestmark = pytest.mark.nightly
# Processes of this test alone have these addresses: it runs beside others.
NETWORK = f"127.{64 + os.getpid() % 128}.{os.getpid() // 128 % 256}"


def get(address: str, probe: dict[str, Any]) -> int:
    """Return what a pod answers to a probe of its manifest; 0 for nothing."""
    try:
        with urllib.request.urlopen(f"http://{address}:8400{probe['httpGet']['path']}", timeout=60) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


@contextlib.contextmanager
def pods(folder: Path, collection: Path, hosts: dict[str, str], zone: str) -> Iterator[dict[str, Any]]:
    """Run what the pods run, for a block: each with what its volumes hold. hosts: the address of each."""
    text = manifests.TOPOLOGY.read_text(encoding="utf-8")
    for name in ("spr", "library"):  # gRPC resolves these by the machine's resolver
        text = text.replace(f'address = "{name}:', f'address = "{hosts[name]}:')
    volumes = {"/collection": collection, "/etc/spr-access": folder / "access", "/tmp/text": folder / "text"}
    for path, there in volumes.items():
        text = text.replace(f'"{path}', f'"{there}')
    text += f'[discovery]\nnameserver = "{zone}"\ninterval = 0.0\n'
    with contextlib.ExitStack() as stack:
        running = {}
        for name, args in manifests.commands().items():
            config = folder / f"{name}.toml"
            config.write_text(text.replace('"0.0.0.0:', f'"{hosts[name]}:'), encoding="utf-8")
            command = [str(config) if arg == "/etc/spr/topology.toml" else arg for arg in args]
            log = stack.enter_context((folder / f"{name}.log").open("w"))
            running[name] = stack.enter_context(
                subprocess.Popen([*SPR, "serve", *command[1:]], stdout=log, stderr=log)
            )
            stack.callback(running[name].kill)
        yield running


def answers(process: "subprocess.Popen[bytes]", host: str, probe: dict[str, Any]) -> bool:
    """Whether a pod answers a probe well; whether it has ended, too, so that nobody waits for it."""
    return process.poll() is not None or get(host, probe) == 200


def test_the_pods_of_the_manifests_find_each_other_and_answer(tmp_path: Path) -> None:
    collection = world.collection(tmp_path / "collection")
    names = list(manifests.commands())
    hosts = {name: f"{NETWORK}.{number}" for number, name in enumerate(names, 1)}
    making.make(tmp_path / "access", [hosts["spr"]], 30)
    credentials = Credentials(tmp_path / "access", {})
    (tmp_path / "access" / "library.token").write_text(credentials.add("library", "search"))
    probes = manifests.container(manifests.of("Deployment")[0])
    with (
        nameserver() as zone,
        pods(tmp_path, collection, hosts, zone.address) as running,
    ):
        for name in sorted(names, key="spr".__eq__):
            until(functools.partial(answers, running[name], hosts[name], probes["readinessProbe"]))
            assert running[name].poll() is None, (tmp_path / f"{name}.log").read_text()
            # A headless service has the address of a pod once that is ready.
            zone.names[name] = [hosts[name]]
        assert {get(host, probes["livenessProbe"]) for host in hosts.values()} == {200}
        token = credentials.add("web", "search")
        with Client(f"{hosts['spr']}:7400", tls=Tls(credentials.authority), token=token) as client:
            found = client.search(TEXTS[0], timeout=60)
        assert found.moments[0].video == "video-0"
        assert not found.coverage.degraded
        for process in running.values():
            process.terminate()
        codes = {name: process.wait(timeout=300) for name, process in running.items()}
        assert codes == dict.fromkeys(names, 0)
