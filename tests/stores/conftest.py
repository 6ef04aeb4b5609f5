import contextlib
from collections.abc import Iterator

import pytest

from tests.stores.server import Store, s3


@contextlib.contextmanager
def running() -> Iterator[Store]:
    """Run a server that this process and its children find."""
    with pytest.MonkeyPatch.context() as patch:
        found = Store()
        for name, value in found.environment.items():
            patch.setenv(name, value)
        s3().clear_instance_cache()
        yield found
        s3().clear_instance_cache()
        found.stop()


@pytest.fixture(scope="package")
def store() -> Iterator[Store]:
    with running() as found:
        yield found


@pytest.fixture
def url(store: Store) -> str:
    """Return the URL of a collection that is not there yet."""
    return f"s3://{store.bucket()}/c"
