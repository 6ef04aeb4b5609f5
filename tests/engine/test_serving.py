import itertools
import json
import logging
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NoReturn

import grpc
import pytest

from engine import config, faults, logs, ports, servers, serving
from engine.errors import InvalidInput, Overloaded, SprError, Unavailable
from spr.internal.v1 import encoder_service_pb2 as encoder_pb
from spr.internal.v1 import encoder_service_pb2_grpc as encoder_grpc
from tests.engine.oracle import Server
from tests.engine.running import details, lines_of, written


class Encoder(encoder_grpc.EncoderServiceServicer):
    def __init__(self) -> None:
        self.inside, self.leave = threading.Event(), threading.Event()

    def Encode(self, request: Any, context: Any) -> encoder_pb.EncodeResponse:
        if request.text == "broken":
            raise RuntimeError("secret detail")
        if request.text == "bad":
            raise InvalidInput("that is bad; send good", "TENSOR_SIZE_MISMATCH")
        if request.text == "wait":
            self.inside.set()
            self.leave.wait(10)
        return encoder_pb.EncodeResponse()

    def EncodeExamples(self, request: Any, context: Any) -> Any:
        raise NotImplementedError


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[Any, Encoder]]:
    encoder = Encoder()
    server = Server(
        lambda server: encoder_grpc.add_EncoderServiceServicer_to_server(encoder, server), places=1
    )
    with grpc.insecure_channel(server.address) as channel:
        yield encoder_grpc.EncoderServiceStub(channel), encoder
    server.stop()


def failure(stub: Any, text: str, request_id: str = "r1") -> Any:
    with pytest.raises(grpc.RpcError) as caught:
        stub.Encode(encoder_pb.EncodeRequest(text=text, request_id=request_id), timeout=10)
    return caught.value


def test_an_error_keeps_its_words_reason_and_request_id(served: tuple[Any, Encoder]) -> None:
    error = failure(served[0], "bad", "mine")
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert error.details() == "that is bad; send good"
    info = details(error)["ErrorInfo"]
    assert (info.reason, info.domain, info.metadata["request_id"]) == (
        "TENSOR_SIZE_MISMATCH",
        "spr.v1",
        "mine",
    )
    assert details(error)["BadRequest"].field_violations[0].description == "that is bad; send good"
    assert isinstance(faults.error_of(error, "encoder"), InvalidInput)


def test_a_defect_shows_only_its_request_id(
    served: tuple[Any, Encoder], caplog: pytest.LogCaptureFixture
) -> None:
    error = failure(served[0], "broken", "r-42")
    assert error.code() is grpc.StatusCode.INTERNAL
    assert "r-42" in error.details()
    assert "secret" not in error.details()
    assert "secret detail" in caplog.text


def test_a_call_leaves_one_line_with_its_request_id(served: tuple[Any, Encoder]) -> None:
    with written("spr.rpc", logging.DEBUG) as lines:
        served[0].Encode(encoder_pb.EncodeRequest(text="good", request_id="r-1"), timeout=10)
        failure(served[0], "bad", "r-2")
        found = list(itertools.islice(lines_of(lines, "r-1", "r-2"), 3))
    messages = {(line["request_id"], line["message"].rpartition("/")[2]) for line in found}
    assert messages == {
        ("r-1", "Encode OK"),
        ("r-2", "Encode refused: that is bad; send good"),
        ("r-2", "Encode INVALID_ARGUMENT"),
    }
    assert all(line["ms"] > 0 for line in found if "refused" not in line["message"])
    # A search has a line of its own: at info a call adds one only when it fails.
    assert {line["message"].rpartition("/")[2] for line in found if line["level"] == "info"} == {
        "Encode refused: that is bad; send good"
    }


def test_a_full_worker_says_when_to_come_back(served: tuple[Any, Encoder]) -> None:
    stub, encoder = served
    inside = stub.Encode.future(encoder_pb.EncodeRequest(text="wait"))
    assert encoder.inside.wait(300)
    error = failure(stub, "more")
    encoder.leave.set()
    inside.result(10)
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert details(error)["ErrorInfo"].reason == "QUEUE_FULL"
    assert details(error)["RetryInfo"].retry_delay.ToMilliseconds() == 500


def test_a_taken_port_is_refused(served: tuple[Any, Encoder]) -> None:
    server = grpc.server(ThreadPoolExecutor(1), options=servers.SERVER_OPTIONS)
    address = servers.bind(server, "127.0.0.1:0")
    other = grpc.server(ThreadPoolExecutor(1), options=servers.SERVER_OPTIONS)
    with pytest.raises(Unavailable, match="is another process there"):
        servers.bind(other, address)
    server.stop(None).wait()
    other.stop(None).wait()


def test_a_port_that_a_successor_can_share_is_refused_to_all_others() -> None:
    server, successor = (grpc.server(ThreadPoolExecutor(1), options=servers.SHARED_OPTIONS) for _ in range(2))
    address = servers.bind(server, "127.0.0.1:0")
    server.start()
    with pytest.raises(Unavailable, match="is another process there"):
        ports.check_free(address)
    assert servers.bind(successor, address) == address
    for one in (server, successor):
        one.stop(None).wait()
    ports.check_free("127.0.0.1:0")


@pytest.mark.parametrize("kind", [InvalidInput, Overloaded, Unavailable])
def test_errors_survive_the_wire(kind: type[SprError]) -> None:
    error = kind("a sentence", "A_REASON")
    status = faults.grpc_status(error, "r1")

    class Call:
        def code(self) -> grpc.StatusCode:
            return status.code

        def details(self) -> str:
            return status.details

        def trailing_metadata(self) -> Any:
            return status.trailing_metadata

    rebuilt = faults.error_of(Call(), "shard-00000")
    assert type(rebuilt) is kind
    assert rebuilt.reason == "A_REASON"
    assert str(rebuilt) == "shard-00000: a sentence"


def test_a_log_line_is_json_with_the_request_id() -> None:
    logs.request_id.set("r9")
    try:
        raise ValueError("why")
    except ValueError:
        record = logging.LogRecord("spr.x", logging.ERROR, "f", 1, "lost %s", ("it",), sys.exc_info())
    record.reason = "R"
    line = json.loads(logs.JsonFormatter().format(record))
    logs.request_id.set("")
    assert (line["message"], line["level"], line["request_id"], line["reason"]) == (
        "lost it",
        "error",
        "r9",
        "R",
    )
    assert "ValueError: why" in line["exception"]
    assert line["time"].endswith("Z")


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory")])
def test_a_process_without_memory_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception
) -> None:
    def short(_: object) -> NoReturn:
        raise error

    monkeypatch.setattr(config, "read", short)
    assert serving.main("ranker", lambda *_: None, ["--config", "topology.toml"]) == 4
    said = json.loads(capsys.readouterr().out)
    assert (said["ready"], said["exit_code"], "no more memory" in said["error"]) == (False, 4, True)
