"""A connection whose request is late is closed; one that is answered, or waits between requests, is not."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from spr_gateway import patience

ASKED = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n"


class Served:
    """What answers a body with itself, once it may. protocols: of the connections so far."""

    def __init__(self) -> None:
        self.asked, self.may_answer = asyncio.Event(), asyncio.Event()
        self.protocols: list[patience.Patient] = []

    async def echo(self, request: Request) -> PlainTextResponse:
        """Answer."""
        body = await request.body()
        self.asked.set()
        await self.may_answer.wait()
        return PlainTextResponse(body)

    @contextlib.asynccontextmanager
    async def serve(self) -> AsyncIterator[int]:
        """Yield the port."""
        app = Starlette(routes=[Route("/", self.echo, methods=["POST"])])
        settings = uvicorn.Config(app, port=0, http=patience.Patient, lifespan="off", log_config=None)
        settings.load()
        state = uvicorn.server.ServerState()

        def connected() -> patience.Patient:
            self.protocols.append(patience.Patient(config=settings, server_state=state, app_state={}))
            return self.protocols[-1]

        listening = await asyncio.get_running_loop().create_server(connected, "127.0.0.1", 0)
        async with listening, asyncio.timeout(60):
            yield listening.sockets[0].getsockname()[1]


async def until(holds: Callable[[], bool]) -> None:
    """Let others run until something holds."""
    while not holds():
        await asyncio.sleep(0)


@pytest.mark.parametrize(
    "sent", [b"", b"GET / HT", ASKED, ASKED + b"a"], ids=["none", "line", "head", "body"]
)
def test_a_request_that_does_not_come_is_not_waited_for(monkeypatch: pytest.MonkeyPatch, sent: bytes) -> None:
    monkeypatch.setattr(patience, "PATIENCE", 0.05)

    async def run() -> bytes:
        async with Served().serve() as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(sent)
            with contextlib.closing(writer):
                return await reader.read()

    assert asyncio.run(run()) == b""


def test_a_long_request_may_take_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "BY_THEN", 4)

    async def run() -> bytes:
        served = Served()
        async with served.serve() as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            with contextlib.closing(writer):
                writer.write(ASKED[:-2])
                await until(lambda: bool(served.protocols) and served.protocols[0].came >= 4)
                # As when its time is over; then again, and nothing has come since.
                served.protocols[0].lose()
                assert not served.protocols[0].transport.is_closing()
                served.protocols[0].lose()
                return await reader.read()

    assert asyncio.run(run()) == b""


def test_an_answer_may_take_longer() -> None:
    async def run() -> bytes:
        served = Served()
        async with served.serve() as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            with contextlib.closing(writer):
                writer.write(ASKED.replace(b"Host", b"Connection: close\r\nHost") + b"ab")
                await served.asked.wait()
                assert not served.protocols[0].waits
                served.may_answer.set()
                return await reader.read()

    assert asyncio.run(run()).endswith(b"\r\n\r\nab")
