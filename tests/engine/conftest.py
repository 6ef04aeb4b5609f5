from collections.abc import Iterator

import pytest

from tests.engine.oracle import Cluster, cluster
from tests.engine.talking import talking


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster of oracles that the tests of a module share."""
    with cluster(tmp_path_factory.mktemp("shared")) as workers:
        yield workers


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster of oracles over videos in which something is said and written."""
    with cluster(tmp_path_factory.mktemp("spoken"), talking(2)) as workers:
        yield workers
