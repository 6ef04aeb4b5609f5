"""A store that is gone for a minute while its collection is served."""

from pathlib import Path

import pytest

from tests.stores.conftest import running
from tests.stores.outage import endure

pytestmark = pytest.mark.nightly


def test_a_store_that_goes_is_not_noticed_and_a_new_version_waits(tmp_path: Path) -> None:
    with running() as store:
        endure(store, f"s3://{store.bucket()}/c", tmp_path, seconds=60)
