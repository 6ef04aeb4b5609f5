"""A connection whose request is late is closed; one that is answered, or waits between requests, is not."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from spr_gateway import patience

ASKED = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n"


@contextlib.asynccontextmanager
async def served(answers: asyncio.Event) -> AsyncIterator[int]:
    """Serve what answers a body with itself, once it may; yield the port."""

    async def echo(request: Request) -> PlainTextResponse:
        body = await request.body()
        await answers.wait()
        return PlainTextResponse(body)

    app = Starlette(routes=[Route("/", echo, methods=["POST"])])
    settings = uvicorn.Config(app, port=0, http=patience.Patient, lifespan="off", log_config=None)
    settings.load()
    loop = asyncio.get_running_loop()
    state = uvicorn.server.ServerState()
    listening = await loop.create_server(
        lambda: patience.Patient(config=settings, server_state=state, app_state={}), "127.0.0.1", 0
    )
    async with listening:
        yield listening.sockets[0].getsockname()[1]


async def told(port: int, *sent: bytes) -> Any:
    """Send what is sent, and return all that comes until the connection is closed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for data in sent:
        writer.write(data)
    with contextlib.closing(writer):
        async with asyncio.timeout(60):
            return await reader.read()


@pytest.mark.parametrize(
    "sent", [b"", b"GET / HT", ASKED, ASKED + b"a"], ids=["none", "line", "head", "body"]
)
def test_a_request_that_does_not_come_is_not_waited_for(monkeypatch: pytest.MonkeyPatch, sent: bytes) -> None:
    monkeypatch.setattr(patience, "PATIENCE", 0.05)

    async def run() -> bytes:
        async with served(asyncio.Event()) as port:
            return bytes(await told(port, sent))

    assert asyncio.run(run()) == b""


def test_a_long_request_may_take_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "PATIENCE", 0.05)
    monkeypatch.setattr(patience, "BY_THEN", 4)

    async def run() -> bytes:
        answers, loop = asyncio.Event(), asyncio.get_running_loop()
        answers.set()
        async with served(answers) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(
                b"POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
            )
            until = loop.time() + 0.3
            while loop.time() < until:
                writer.write(b"1\r\na\r\n")
                await asyncio.sleep(0.001)
            writer.write(b"0\r\n\r\n")
            with contextlib.closing(writer):
                return await reader.read()

    assert asyncio.run(run()).endswith(b"aaa")


def test_an_answer_may_take_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "PATIENCE", 0.05)

    async def run() -> bytes:
        answers = asyncio.Event()
        asyncio.get_running_loop().call_later(0.3, answers.set)
        async with served(answers) as port:
            return bytes(await told(port, ASKED.replace(b"Host", b"Connection: close\r\nHost") + b"ab"))

    assert asyncio.run(run()).endswith(b"\r\n\r\nab")
