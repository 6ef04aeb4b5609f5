"""S3's protocol, spoken by a server in this process that can go and come back with all it holds."""

import contextlib
from collections.abc import Iterator

import pytest

s3fs = pytest.importorskip("s3fs", reason="needs the remote extra")
moto = pytest.importorskip("moto.server", reason="needs moto")


class Store:
    """The server at one address. environment: what a process needs to find it."""

    def __init__(self) -> None:
        self._server = moto.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
        self._server.start()
        _, self.port = self._server.get_host_and_port()
        self._buckets = 0
        self.environment = {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port}",
            "AWS_ACCESS_KEY_ID": "a-name",
            "AWS_SECRET_ACCESS_KEY": "hush-hush",
            "AWS_DEFAULT_REGION": "us-east-1",
        }

    def bucket(self) -> str:
        """Make a new bucket; return its name."""
        self._buckets += 1
        name = f"bucket-{self._buckets}"
        s3fs.S3FileSystem().mkdir(name)
        return name

    def stop(self) -> None:
        self._server.stop()

    @contextlib.contextmanager
    def away(self) -> Iterator[None]:
        """Refuse connections for a block."""
        self.stop()
        yield
        self._server = moto.ThreadedMotoServer("127.0.0.1", self.port, verbose=False)
        self._server.start()
