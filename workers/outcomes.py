"""Several requests in one call: each is answered, or refused, by itself."""

from google.rpc import status_pb2

from engine import faults, logs, refusals
from engine.errors import InvalidInput

MOST = 64


def check(requests: int) -> None:
    """Refuse (InvalidInput) a call of too many requests."""
    if requests > MOST:
        raise InvalidInput(f"the call has {requests} requests; send at most {MOST}", field="requests")


def refused(error: Exception, method: str) -> status_pb2.Status:
    """Log why one of several requests is refused, under its id; return its status."""
    refusals.note(error, method)
    return faults.status_of(error, logs.request_id.get())
