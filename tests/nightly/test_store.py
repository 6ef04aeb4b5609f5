"""A store that is gone for a minute while its collection is served."""

from pathlib import Path

import pytest

from tests.stores.conftest import store, url  # noqa: F401  fixtures
from tests.stores.outage import endure
from tests.stores.server import Store

pytestmark = pytest.mark.nightly


def test_a_store_that_goes_is_not_noticed_and_a_new_version_waits(
    store: Store,  # noqa: F811
    url: str,  # noqa: F811
    tmp_path: Path,
) -> None:
    endure(store, url, tmp_path, seconds=60)
