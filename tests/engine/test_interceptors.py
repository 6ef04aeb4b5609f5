"""What a server does around its methods: with bytes that are no message, calls without one, and too many."""

import asyncio
import logging
import threading
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import grpc
import grpc.aio
import pytest

from engine import interceptors, refusals, servers
from engine.admission import Admission
from engine.errors import InvalidInput, Overloaded
from engine.faults import reason_of
from spr.internal.v1 import encoder_service_pb2 as pb
from spr.internal.v1 import encoder_service_pb2_grpc as encoder_grpc
from tests.engine.oracle import Server
from tests.engine.running import details

ENCODE = "/spr.internal.v1.EncoderService/Encode"
# Kind of call, and a text field whose bytes are no UTF-8.
METHODS = {
    ENCODE: ("unary", b"\x1a\x02\xff\xfe"),
    "/grpc.health.v1.Health/Check": ("unary", b"\x0a\x02\xff\xfe"),
    "/grpc.health.v1.Health/Watch": ("stream", b"\x0a\x02\xff\xfe"),
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": ("streams", b"\x1a\x02\xff\xfe"),
}


class Encoder(encoder_grpc.EncoderServiceServicer):
    """Notes what it is asked; "wait" waits until `leave` is set."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.inside, self.leave = threading.Event(), threading.Event()

    def Encode(self, request: Any, context: Any) -> pb.EncodeResponse:
        self.asked.append(request.text)
        if request.text == "wait":
            self.inside.set()
            self.leave.wait(20)
        return pb.EncodeResponse()

    def EncodeExamples(self, request: Any, context: Any) -> Any:
        raise NotImplementedError


@pytest.fixture
def served() -> Iterator[tuple[Encoder, Server, grpc.Channel]]:
    encoder = Encoder()
    server = Server(
        lambda server: encoder_grpc.add_EncoderServiceServicer_to_server(encoder, server), places=2
    )
    with grpc.insecure_channel(server.address) as channel:
        yield encoder, server, channel
    encoder.leave.set()
    server.stop()


def send(channel: Any, method: str, data: bytes, kind: str = "unary") -> Any:
    """Send bytes as they are; return the error that comes back."""
    calls: dict[str, Any] = {
        "unary": lambda: channel.unary_unary(method)(data, timeout=10),
        "stream": lambda: next(channel.unary_stream(method)(data, timeout=10)),
        "streams": lambda: next(channel.stream_stream(method)(iter([data]), timeout=10)),
    }
    with pytest.raises(grpc.RpcError) as caught:
        calls[kind]()
    return caught.value


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("truncated", [True, False], ids=["truncated", "no UTF-8"])
def test_bytes_that_are_no_message_are_the_callers_fault(
    served: Any, caplog: pytest.LogCaptureFixture, method: str, truncated: bool
) -> None:
    kind, text = METHODS[method]
    error = send(served[2], method, b"\x0a\xff" if truncated else text, kind)
    assert (error.code(), reason_of(error)) == (grpc.StatusCode.INVALID_ARGUMENT, "MESSAGE_INVALID")
    assert not [record for record in caplog.records if record.exc_info or record.levelno > logging.INFO]


def test_a_method_that_health_has_not_leaves_no_traceback(
    served: Any, caplog: pytest.LogCaptureFixture
) -> None:
    error = send(served[2], "/grpc.health.v1.Health/List", b"")
    assert error.code() is grpc.StatusCode.UNIMPLEMENTED
    assert not [record for record in caplog.records if record.exc_info]


def test_calls_without_a_message_hold_nothing(served: Any) -> None:
    encoder, _, channel = served
    never = threading.Event()

    def unsent() -> Iterator[bytes]:
        never.wait(20)
        yield from ()

    opened = [channel.stream_unary(ENCODE).future(unsent()) for _ in range(20)]
    encoder_grpc.EncoderServiceStub(channel).Encode(pb.EncodeRequest(text="good"), timeout=10)
    never.set()
    for call in opened:
        call.cancel()
    assert encoder.asked == ["good"]


def test_a_full_server_refuses_without_reading(served: Any) -> None:
    _, server, channel = served
    server.admission.limit = 0
    error = send(channel, ENCODE, b"\xff")
    assert (error.code(), reason_of(error)) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "QUEUE_FULL")


def test_every_refused_call_is_told_when_to_come_back(served: Any) -> None:
    _, server, _ = served
    server.admission.limit = 0

    async def run() -> list[Any]:
        async with grpc.aio.insecure_channel(server.address) as channel:
            stub: Any = encoder_grpc.EncoderServiceStub(channel)
            calls = [stub.Encode(pb.EncodeRequest(), timeout=60) for _ in range(1000)]
            return list(await asyncio.gather(*calls, return_exceptions=True))

    errors = asyncio.run(run())
    assert {error.code() for error in errors} == {grpc.StatusCode.RESOURCE_EXHAUSTED}
    assert all("RetryInfo" in details(error) for error in errors[::20])


def test_work_whose_caller_is_gone_is_not_begun(served: Any) -> None:
    encoder, server, channel = served
    stub = encoder_grpc.EncoderServiceStub(channel)
    inside = [stub.Encode.future(pb.EncodeRequest(text="wait")) for _ in range(2)]
    assert encoder.inside.wait(10)
    # A third finds a place but no thread.
    server.admission.limit = 3
    with pytest.raises(grpc.RpcError) as caught:
        stub.Encode(pb.EncodeRequest(text="late"), timeout=0.2)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    encoder.leave.set()
    for call in inside:
        call.result(10)
    stub.Encode(pb.EncodeRequest(text="good"), timeout=10)
    assert encoder.asked == ["wait", "wait", "good"]


@pytest.mark.parametrize("leaves", [True, False], ids=["its caller leaves", "its deadline passes"])
def test_a_coroutine_is_cancelled_when(leaves: bool) -> None:
    inside, over = threading.Event(), threading.Event()

    class Patient(encoder_grpc.EncoderServiceServicer):
        async def Encode(self, request: Any, context: Any) -> pb.EncodeResponse:
            inside.set()
            try:
                await asyncio.Event().wait()
            finally:
                over.set()
            return pb.EncodeResponse()

        def EncodeExamples(self, request: Any, context: Any) -> Any:
            raise NotImplementedError

    server = Server(lambda server: encoder_grpc.add_EncoderServiceServicer_to_server(Patient(), server))
    with grpc.insecure_channel(server.address) as channel:
        stub = encoder_grpc.EncoderServiceStub(channel)
        call = stub.Encode.future(pb.EncodeRequest(), timeout=300 if leaves else 0.3)
        assert inside.wait(20)
        if leaves:
            call.cancel()
        assert over.wait(20)
    server.stop()


def test_a_port_says_what_it_is_for(served: Any) -> None:
    error = send(served[2], "/spr.v1.SearchService/Search", b"")
    assert (error.code(), reason_of(error)) == (grpc.StatusCode.UNIMPLEMENTED, "WRONG_PORT")
    assert error.details() == "/spr.v1.SearchService/Search is not served at this port; it is a test's"


@pytest.mark.parametrize(
    ("address", "open_to_others"),
    [
        ("127.0.0.1:0", False),
        ("localhost:0", False),
        ("[::1]:0", False),
        ("0.0.0.0:0", True),
        ("[::]:0", True),
    ],
)
def test_a_listener_that_others_reach_is_refused_or_warns(
    caplog: pytest.LogCaptureFixture, address: str, open_to_others: bool
) -> None:
    if address.startswith("[::1]") and not _has_ipv6():
        pytest.skip("this machine has no IPv6")

    async def run(insecure: bool) -> None:
        servers.bind(servers.aio_server(Admission(1)), address, insecure=insecure)

    with pytest.raises(InvalidInput, match="open to other machines") if open_to_others else nullcontext():
        asyncio.run(run(False))
    asyncio.run(run(True))
    assert ("no access control" in caplog.text) == open_to_others


def _has_ipv6() -> bool:
    import socket

    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


def test_refusals_for_overload_are_logged_once_a_second_with_their_number(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    now = iter([1.0, 1.1, 1.9, 2.0])
    counted = refusals.Counted(lambda: next(now))
    for _ in range(4):
        counted.note(ENCODE, Overloaded("full"))
    assert [vars(record)["refused"] for record in caplog.records] == [1, 3]


def test_a_caller_that_goes_while_it_is_written_to_cancels_its_stream() -> None:
    class Gone:
        async def write(self, reply: object) -> None:
            raise grpc.aio.InternalError  # as gRPC does, where the call ended an instant before

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(interceptors._written(Gone(), b""))
