from pathlib import Path

import pytest

from tests.system import world


@pytest.fixture(scope="package")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return world.collection(tmp_path_factory.mktemp("system") / "collection")
