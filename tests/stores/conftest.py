from collections.abc import Iterator

import pytest

from tests.stores.server import Store, s3


@pytest.fixture(scope="package")
def store() -> Iterator[Store]:
    with pytest.MonkeyPatch.context() as patch:
        running = Store()
        for name, value in running.environment.items():
            patch.setenv(name, value)
        s3().clear_instance_cache()
        yield running
        s3().clear_instance_cache()
        running.stop()


@pytest.fixture
def url(store: Store) -> str:
    """Return the URL of a collection that is not there yet."""
    return f"s3://{store.bucket()}/c"
