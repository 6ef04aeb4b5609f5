"""S3's protocol, spoken by a server in this process that can go and come back with all it holds."""

import contextlib
import itertools
from collections.abc import Iterator
from typing import Any

import pytest


# Both load for a second, and every worker of a test run collects this module.
def s3() -> Any:
    """Return s3fs's file system of the store that the environment names."""
    return pytest.importorskip("s3fs", reason="needs the remote extra").S3FileSystem()


def _server(port: int) -> Any:
    server = pytest.importorskip("moto.server", reason="needs moto")
    return server.ThreadedMotoServer("127.0.0.1", port, verbose=False)


# All servers of a process hold the same buckets.
_NUMBERS = itertools.count(1)


class Store:
    """The server at one address. environment: what a process needs to find it."""

    def __init__(self) -> None:
        self._server = _server(0)
        self._server.start()
        _, self.port = self._server.get_host_and_port()
        self.environment = {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port}",
            "AWS_ACCESS_KEY_ID": "a-name",
            "AWS_SECRET_ACCESS_KEY": "hush-hush",
            "AWS_DEFAULT_REGION": "us-east-1",
        }

    def bucket(self) -> str:
        """Make a new bucket; return its name."""
        name = f"bucket-{next(_NUMBERS)}"
        s3().mkdir(name)
        return name

    def stop(self) -> None:
        self._server.stop()

    @contextlib.contextmanager
    def away(self) -> Iterator[None]:
        """Refuse connections for a block."""
        self.stop()
        yield
        self._server = _server(self.port)
        self._server.start()
