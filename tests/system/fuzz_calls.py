"""One call of a fuzzed method: with which bytes, in which shape, and what came back."""

import contextlib
import random
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.descriptor import MethodDescriptor
from google.rpc import error_details_pb2, status_pb2

from engine.faults import reason_of

# Longer than any right answer takes: what takes this long hangs.
PATIENCE = 60.0
# Messages read of a stream: those that watch never end by themselves.
MOST_READ = 8
ENDLESS = ("Watch", "WatchCurrent", "WatchMatches")
# Of these one that says nothing for so many seconds has been accepted.
SILENT, SILENCE = "WatchMatches", 0.2
DEADLINES = [-1.0, 0.0, 1e-6, 0.001, 0.01, 0.05, 1e6, 1e9]
ODD_METADATA: list[tuple[str, str | bytes]] = [
    ("traceparent", "00-zz-!"),
    ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    ("tracestate", "a=" + "b" * 600),
    ("authorization", "Bearer "),
    ("authorization", "Basic \x21\x21"),
    ("x-request-id", ""),
    ("odd-bin", bytes(range(256))),
    ("odd", "v" * 4000),
    ("user-agent", "curl"),
]


@dataclass(frozen=True)
class Call:
    """One call. data: its messages. streams: sent as a stream, whatever the method takes; so answered.

    timeout: seconds, None for none of the caller's own. cancel: seconds after which it is cancelled.
    """

    path: str
    data: Sequence[bytes]
    streams: bool
    timeout: float | None = None
    cancel: float | None = None
    metadata: Sequence[tuple[str, str | bytes]] = ()
    compression: grpc.Compression = grpc.Compression.NoCompression

    @property
    def about(self) -> str:
        """What is odd about it, for people."""
        names = [name for name, _ in self.metadata]
        return f"{len(self.data)} messages, timeout {self.timeout}, cancelled {self.cancel}, with {names}"

    @property
    def hurried(self) -> bool:
        """Whether there may be no time for an answer."""
        return self.cancel is not None or (self.timeout is not None and self.timeout < 1)


@dataclass(frozen=True)
class Reply:
    """What came back: the status code, the reason and the fields of its details, its message, seconds."""

    code: str
    reason: str = ""
    fields: tuple[str, ...] = ()
    told: str = ""
    seconds: float = 0.0


def call_of(chance: random.Random, method: MethodDescriptor, data: bytes) -> Call:
    """Return a call of a method: as it is meant, or with odd metadata, deadlines, shape, or cancelled."""
    path = f"/{method.full_name.rpartition('.')[0]}/{method.name}"
    streams = bool(method.client_streaming or method.server_streaming)
    if chance.random() < 0.03:  # of another shape than the method has
        return Call(path, [data] * chance.choice([0, 1, 2, 3]), True, timeout=0.4)
    if chance.random() < 0.01:
        return Call(path + chance.choice(["x", "/", "%C3%A9", "/" * 500]), [data], streams)
    timeout = chance.choice(DEADLINES) if chance.random() < 0.06 else None
    cancel = chance.choice([0.0, 0.0005, 0.003, 0.02]) if chance.random() < 0.06 else None
    odd = chance.sample(ODD_METADATA, chance.choice([1, 2, 4])) if chance.random() < 0.1 else ()
    packed = chance.choice(list(grpc.Compression))
    return Call(path, [data], streams, timeout, cancel, odd, packed)


def noise(chance: random.Random, address: str) -> None:
    """Send bytes that are no HTTP/2, or that begin as such."""
    host, _, port = address.rpartition(":")
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"
    with contextlib.suppress(OSError), socket.create_connection((host, int(port)), timeout=5) as peer:
        peer.sendall(chance.choice([b"GET / HTTP/1.1\r\n\r\n", b"", preface, preface[:9]]))
        peer.sendall(chance.randbytes(chance.choice([0, 9, 40, 5000])))


def send(channel: grpc.Channel, call: Call) -> Reply:
    """Make a call and wait for its end, or for the first answers of a stream."""
    began = time.monotonic()
    try:
        path = call.path
        about: dict[str, Any] = {"metadata": call.metadata, "compression": call.compression}
        patience = SILENCE if path.endswith(SILENT) else PATIENCE
        # A stream that may stay silent is left after a while, however long the call would wait.
        own = call.timeout is None or (path.endswith(SILENT) and call.timeout > SILENCE)
        about["timeout"] = patience if own else call.timeout
        # Without serialisers both take and give bytes, whatever their types say.
        untyped: Any = channel
        if call.streams:
            made = untyped.stream_stream(path)(_sent(call.data), **about)
        else:
            made = untyped.unary_unary(path).future(call.data[0], **about)
        with _cancelled(made, call.cancel):
            if call.streams:
                _read(made, call.path)
            else:
                made.result()
    except grpc.FutureCancelledError:
        return Reply("CANCELLED", seconds=time.monotonic() - began)
    except grpc.RpcError as error:
        reply = _reply(error, time.monotonic() - began)
        accepted = reply.code == "DEADLINE_EXCEEDED" and path.endswith(SILENT) and own
        return Reply("OK", seconds=reply.seconds) if accepted else reply
    return Reply("OK", seconds=time.monotonic() - began)


def _sent(data: Sequence[bytes]) -> Iterator[bytes]:
    yield from data


def _read(answers: Any, path: str) -> None:
    for number, _ in enumerate(answers, start=1):
        if path.endswith(ENDLESS) or number == MOST_READ:
            answers.cancel()
            break


class _cancelled:
    """Cancel a call after some time, unless the block ends before."""

    def __init__(self, call: Any, after: float | None) -> None:
        self._timer = None if after is None else threading.Timer(after, call.cancel)

    def __enter__(self) -> None:
        if self._timer is not None:
            self._timer.start()

    def __exit__(self, *_: object) -> None:
        if self._timer is not None:
            self._timer.cancel()


def _reply(error: Any, seconds: float) -> Reply:
    fields: list[str] = []
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            bad = error_details_pb2.BadRequest()
            for detail in status_pb2.Status.FromString(value).details:
                if detail.Unpack(bad):
                    fields += [one.field for one in bad.field_violations]
    return Reply(error.code().name, reason_of(error), tuple(fields), error.details() or "", seconds)
