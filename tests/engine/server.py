"""A server as the workers run it, in a thread of the test."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import grpc.aio

from engine import servers
from engine.access.guard import Door
from engine.admission import Admission

Result = TypeVar("Result")


class Server:
    """A grpc.aio server as the workers run it, in a thread of its own. add: registers the servicers."""

    def __init__(
        self,
        add: Callable[[grpc.aio.Server], object],
        address: str = "127.0.0.1:0",
        places: int = 16,
        door: Door | None = None,
    ) -> None:
        self._loop = asyncio.new_event_loop()
        self._pool = ThreadPoolExecutor(places)
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self.admission, self._door = Admission(places), door
        self._server, self.address = self._run(self._start(add, address))

    def stop(self) -> None:
        if self._thread.is_alive():
            self._run(self._server.stop(None))
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()
            self._pool.shutdown(wait=False)

    def _run(self, work: Coroutine[Any, Any, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(20)

    async def _start(
        self, add: Callable[[grpc.aio.Server], object], address: str
    ) -> tuple[grpc.aio.Server, str]:
        server = servers.aio_server(self.admission, self._pool, "it is a test's", door=self._door)
        add(server)
        servers.add_probes(server, [])
        bound = servers.bind(server, address, self._door)
        await server.start()
        return server, bound
