"""One service for the tests of a module: real processes over two tiny collections."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from spr_client import Client
from tests.system import world
from tests.system.service import Service, running, write_topology
from tests.system.spoken import Spoken
from tests.system.world import Oracle


@pytest.fixture(scope="package")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return world.collection(tmp_path_factory.mktemp("system") / "collection")


@pytest.fixture(scope="package")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> Spoken:
    return Spoken.make(tmp_path_factory.mktemp("spoken") / "collection")


@pytest.fixture(scope="module")
def service(collection: Path, spoken: Spoken, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that every test leaves whole: one that kills a process waits for the next."""
    path, both = tmp_path_factory.mktemp("service") / "topology.toml", [spoken.path]
    topology = write_topology(path, collection, collections=both, shard_timeout=0.5, max_in_flight=3)
    with running(path.parent / "log.jsonl", str(topology)) as service:
        yield service


@pytest.fixture(scope="module")
def client(service: Service) -> Iterator[Client]:
    with Client(service.address, retries=0) as client:
        yield client


@pytest.fixture(scope="module")
def oracle(collection: Path) -> Oracle:
    return Oracle(collection)
