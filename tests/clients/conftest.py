from collections.abc import Iterator

import pytest

from tests.engine.oracle import Cluster, cluster
from tests.engine.running import process


@pytest.fixture(scope="package")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Cluster]]:
    folder = tmp_path_factory.mktemp("service")
    with cluster(folder) as workers, process(workers, folder) as ready:
        yield ready["address"], workers


@pytest.fixture
def address(service: tuple[str, Cluster]) -> str:
    return service[0]
