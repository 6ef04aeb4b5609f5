"""Error mapping: SprError -> google.rpc.Status, and a worker's status -> SprError."""

from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf import any_pb2
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from engine.errors import (
    DeadlineExceeded,
    InvalidInput,
    Mismatch,
    NotFound,
    Overloaded,
    PermissionDenied,
    SprError,
    Unauthenticated,
    Unavailable,
)

DOMAIN = "spr.v1"
# Details travel in trailers, which gRPC limits to 8 KiB: a longer message would drop the status itself.
LONGEST_MESSAGE = 500

_KINDS: dict[grpc.StatusCode, type[SprError]] = {
    kind.status: kind
    for kind in (
        InvalidInput,
        NotFound,
        Mismatch,
        Overloaded,
        Unavailable,
        DeadlineExceeded,
        Unauthenticated,
        PermissionDenied,
    )
}
# A worker's defect stays INTERNAL: a retry would only repeat it.
_DEFECTS = (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.DATA_LOSS)


@dataclass(frozen=True)
class _Status(grpc.Status):
    code: grpc.StatusCode
    details: str
    trailing_metadata: Any


def status_of(error: BaseException, request_id: str = "") -> status_pb2.Status:
    """Return the status for the caller: an SprError's message; of other errors only the request id."""
    if not isinstance(error, SprError):
        error = SprError(f"internal error; the server's log has it under request id {request_id}")
    message = words_of(error)
    info = error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN)
    if request_id:
        info.metadata["request_id"] = request_id
    details: list[Message] = [info]
    if isinstance(error, InvalidInput):
        violation = error_details_pb2.BadRequest.FieldViolation(
            field=error.field, description=message, reason=error.reason
        )
        details.append(error_details_pb2.BadRequest(field_violations=[violation]))
    if error.retry_after is not None:
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromNanoseconds(int(error.retry_after * 1e9))
        details.append(retry)
    return status_pb2.Status(code=error.status.value[0], message=message, details=[_any(d) for d in details])


def words_of(error: SprError) -> str:
    """Return an error's message, cut to fit into trailers."""
    message = str(error)
    return message if len(message) <= LONGEST_MESSAGE else message[: LONGEST_MESSAGE - 1] + "…"


def grpc_status(error: BaseException, request_id: str = "") -> grpc.Status:
    """Return `status_of` in the form that `abort_with_status` takes.

    Its pushback disables gRPC's transparent retries, which are for calls that nobody answered.
    """
    status = rpc_status.to_status(status_of(error, request_id))
    metadata = (*(status.trailing_metadata or ()), ("grpc-retry-pushback-ms", "-1"))
    return _Status(status.code, status.details, metadata)


def error_of(call: Any, who: str) -> SprError:
    """Return the SprError that the failed call `call` to `who` stands for, its reason and field kept.

    Only messages of our own processes are passed on: gRPC's contain addresses, which are for the log
    (`told_by`).
    """
    code, reason = call.code(), reason_of(call)
    message = f"{who}: {call.details() if reason else code.name}"
    if code in _DEFECTS:
        return SprError(message)
    if code is grpc.StatusCode.INVALID_ARGUMENT:
        return InvalidInput(message, reason or code.name, field_of(call))
    if code is grpc.StatusCode.CANCELLED:
        reason = "UNAVAILABLE"
    return _KINDS.get(code, Unavailable)(message, reason or code.name)


def told_by(call: Any) -> str:
    """Return a failed call's message with addresses: for the log, not for callers."""
    return str(call.details() or call.code().name)[:LONGEST_MESSAGE]


def reason_of(call: Any) -> str:
    """Return the ErrorInfo reason that a failed call carries, empty if none."""
    info = error_details_pb2.ErrorInfo()
    return str(info.reason) if _unpacked(call, info) else ""


def field_of(call: Any) -> str:
    """Return the path of the wrong field that a failed call names, empty if none."""
    bad = error_details_pb2.BadRequest()
    return str(bad.field_violations[0].field) if _unpacked(call, bad) and bad.field_violations else ""


def _unpacked(call: Any, wanted: Message) -> bool:
    """Read the first detail of the kind `wanted` that a failed call carries; whether there is one."""
    for key, value in call.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            return any(detail.Unpack(wanted) for detail in status_pb2.Status.FromString(value).details)
    return False


def _any(message: Message) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(message)
    return packed
