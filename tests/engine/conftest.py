from typing import Any

import pytest

from tests.engine.oracle import cluster


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with cluster(tmp_path_factory.mktemp("shared")) as workers:
        yield workers
