"""What can go wrong, rebuilt from the server's status and its ErrorInfo reason.

SearchError
├── InvalidInput        what was sent cannot be used
├── NotFound            no such collection
├── Mismatch            the embedding's model is not the one that is served
├── Overloaded          try again after `retry_after` seconds
├── Unavailable         nobody answers; try again after `retry_after` seconds
├── DeadlineExceeded    the timeout passed
├── Unauthenticated     no token that is valid, or the service's certificate is not of a trusted authority
└── PermissionDenied    the token does not allow it
"""

from typing import Any

import grpc
from google.rpc import error_details_pb2, status_pb2


class SearchError(Exception):
    """A search that failed.

    reason: one word for programs, such as QUERY_EMPTY, NO_SHARDS, QUEUE_FULL. request_id: what the server's
    log calls it. retry_after: seconds, None when trying again does not help. refused: whether a server said
    so; False where nobody answered.
    """

    refused = False

    def __init__(
        self, message: str, reason: str = "", request_id: str = "", retry_after: float | None = None
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.request_id = request_id
        self.retry_after = retry_after


class InvalidInput(SearchError):
    """What was sent cannot be used."""


class NotFound(SearchError):
    """A named thing does not exist."""


class Mismatch(SearchError):
    """Models or versions disagree."""


class Overloaded(SearchError):
    """The server has enough to do."""


class Unavailable(SearchError):
    """A process that is needed does not answer."""


class DeadlineExceeded(SearchError):
    """The timeout passed."""


class Unauthenticated(SearchError):
    """Client or service could not show who they are."""


class PermissionDenied(SearchError):
    """The token does not allow it."""


_KINDS = {
    grpc.StatusCode.INVALID_ARGUMENT: InvalidInput,
    grpc.StatusCode.NOT_FOUND: NotFound,
    grpc.StatusCode.FAILED_PRECONDITION: Mismatch,
    grpc.StatusCode.RESOURCE_EXHAUSTED: Overloaded,
    grpc.StatusCode.UNAVAILABLE: Unavailable,
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineExceeded,
    grpc.StatusCode.UNAUTHENTICATED: Unauthenticated,
    grpc.StatusCode.PERMISSION_DENIED: PermissionDenied,
}
# gRPC's own words, in every language: a message beyond a limit has the code of an overload.
_TOO_LARGE = "larger than max"
CONNECT_AGAIN = 1.0  # seconds after which a connection that failed is worth another try
_CODES = {code.value[0]: code for code in grpc.StatusCode}


def from_call(error: Any, address: str = "the channel") -> SearchError:
    """Return the SearchError for a failed call (grpc.RpcError). address: who was asked."""
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            return from_status(status_pb2.Status.FromString(value))
    code, told = error.code(), error.details() or error.code().name
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED and _TOO_LARGE in told:
        return InvalidInput(
            f"the request is too large ({told}); send fewer or shorter queries", "MESSAGE_TOO_LARGE"
        )
    if code is grpc.StatusCode.UNIMPLEMENTED:
        message = f"what answers at {address} has no SPR searches; ask a coordinator, at port 7400 by default"
        return SearchError(message, "WRONG_PORT")
    if code is grpc.StatusCode.UNAVAILABLE:
        if (fault := fault_of_tls(told)) is not None:
            return Unauthenticated(f"no connection to {address}: {fault}", "TLS_FAILED")
        message = f"nothing answers at {address} ({why_unreachable(told)})"
        return Unavailable(message, code.name, retry_after=CONNECT_AGAIN)
    return _KINDS.get(code, SearchError)(told, code.name)


def why_unreachable(told: str) -> str:
    """Return what gRPC's message says of why nothing answers."""
    if "http1.x server" in told:
        return "it is a web page's; searches have a port of their own, 7400 by default"
    # gRPC's resolver lists its faults in brackets.
    why = told.rpartition(": ")[2].removesuffix("]")
    if told.startswith("failed to connect") and why == "Socket closed":
        return "it closes connections at once: set SPR_CA if it wants TLS, SPR_CERT if a certificate"
    return why


def fault_of_tls(told: str) -> str | None:
    """Return what gRPC's message of a failed connection says of TLS, in a sentence; None if nothing."""
    if "certificate has expired" in told:
        return "its certificate has ended, or this clock is ahead; `spr access certificates` makes it again"
    if "certificate is not yet valid" in told:
        return "its certificate is not valid yet by this clock; set the clock that is wrong"
    if "CERTIFICATE_VERIFY_FAILED" in told:
        return "its certificate is not of the authority that SPR_CA names"
    if "Hostname Verification Check failed" in told:
        return "its certificate does not have that name; `spr access certificates --host` adds one"
    if "WRONG_VERSION_NUMBER" in told:
        return "it does not speak TLS; unset SPR_CA, or give the service [access]"
    return None


def from_status(status: status_pb2.Status) -> SearchError:
    """Return the SearchError for a google.rpc.Status, as in an entry of a batch."""
    info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
    retry_after = None
    for detail in status.details:
        if detail.Is(info.DESCRIPTOR):
            detail.Unpack(info)
        elif detail.Is(retry.DESCRIPTOR):
            detail.Unpack(retry)
            retry_after = retry.retry_delay.ToMilliseconds() / 1000
    kind = _KINDS.get(_CODES.get(status.code, grpc.StatusCode.UNKNOWN), SearchError)
    error = kind(status.message, info.reason, info.metadata.get("request_id", ""), retry_after)
    error.refused = True
    return error
