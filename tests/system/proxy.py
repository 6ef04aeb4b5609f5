"""A TCP proxy that passes bytes on late, or not all of them, by a seed: this kernel has no netem."""

import asyncio
import contextlib
import random
from dataclasses import dataclass, field


@dataclass
class Proxy:
    """One port of this machine before a worker's. delay: seconds each chunk is late. lost: share of chunks.

    Set both while it runs; they hold from the next chunk on.
    """

    target: tuple[str, int]
    seed: int = 0
    delay: float = 0.0
    lost: float = 0.0
    port: int = 0
    _server: asyncio.Server | None = None
    _running: set["asyncio.Task[None]"] = field(default_factory=set)

    async def start(self) -> None:
        self._random = random.Random(self.seed)
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(2.0):
                there, back = await asyncio.open_connection(*self.target)
        except (OSError, TimeoutError):
            writer.close()
            return
        ways = [self._pass(reader, back, there), self._pass(there, writer, reader)]
        tasks = [asyncio.create_task(way) for way in ways]
        self._running.update(tasks)
        for task in tasks:
            task.add_done_callback(self._running.discard)

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, other: asyncio.StreamReader
    ) -> None:
        """Pass what comes on, in order, each chunk as late as it is set."""
        loop, due = asyncio.get_running_loop(), 0.0
        with contextlib.suppress(OSError):
            while chunk := await reader.read(1 << 16):
                if self._random.random() < self.lost:
                    continue
                # Never before the chunk in front of it, though `delay` may have been set lower since.
                due = max(due, loop.time() + self.delay)
                loop.call_at(due, self._write, writer, chunk)
        writer.close()

    @staticmethod
    def _write(writer: asyncio.StreamWriter, chunk: bytes) -> None:
        if not writer.is_closing():
            writer.write(chunk)
