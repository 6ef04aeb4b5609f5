from collections.abc import Iterator

import pytest

from tests.engine.oracle import Cluster, cluster


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster of oracles that the tests of a module share."""
    with cluster(tmp_path_factory.mktemp("shared")) as workers:
        yield workers
