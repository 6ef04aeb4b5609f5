"""Errors that know their gRPC status.

    SprError
     ├── InvalidInput         INVALID_ARGUMENT     what the caller sent cannot be used
     ├── NotFound             NOT_FOUND            a named thing does not exist
     ├── Mismatch             FAILED_PRECONDITION  models, versions or checksums disagree
     ├── Overloaded           RESOURCE_EXHAUSTED   try again after `retry_after` seconds
     ├── Unavailable          UNAVAILABLE          try again after `retry_after` seconds
     ├── DeadlineExceeded     DEADLINE_EXCEEDED
     ├── Unauthenticated      UNAUTHENTICATED      no token or certificate that is valid
     ├── PermissionDenied     PERMISSION_DENIED    a valid one that does not allow it
     └── WrongPort            UNIMPLEMENTED        another port serves the method

One interceptor (engine.interceptors) has engine.faults turn them into google.rpc.Status; the command line
prints the message and exits with `exit_code`. A message is one sentence that names the thing, the value and
the remedy.
"""

import errno
import shlex

import grpc

LONGEST_NAME = 80


def quoted(name: str) -> str:
    """Quote a caller's string for a message, cut to 80 characters."""
    return repr(name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…")


def argument(path: object) -> str:
    """Return a path as a shell takes it, for a command that a message names.

    >>> argument("my films"), argument("films")
    ("'my films'", 'films')
    """
    return shlex.quote(str(path))


class SprError(Exception):
    """Base of all refusals, with a machine-readable reason."""

    status = grpc.StatusCode.INTERNAL
    exit_code = 1

    def __init__(self, message: str, reason: str = "INTERNAL", retry_after: float | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.retry_after = retry_after


class InvalidInput(SprError):
    """What the caller sent cannot be used. field: the path of the wrong field, if there is one."""

    status = grpc.StatusCode.INVALID_ARGUMENT
    exit_code = 2

    def __init__(self, message: str, reason: str = "BAD_PARAMETER", field: str = "") -> None:
        super().__init__(message, reason)
        self.field = field


class NotFound(SprError):
    """A named thing does not exist."""

    status = grpc.StatusCode.NOT_FOUND
    exit_code = 2

    def __init__(self, message: str, reason: str = "NOT_FOUND") -> None:
        super().__init__(message, reason)


class Mismatch(SprError):
    """Models, versions or checksums disagree."""

    status = grpc.StatusCode.FAILED_PRECONDITION
    exit_code = 3

    def __init__(self, message: str, reason: str = "MODEL_MISMATCH") -> None:
        super().__init__(message, reason)


class Overloaded(SprError):
    """A bounded queue is full."""

    status = grpc.StatusCode.RESOURCE_EXHAUSTED
    exit_code = 4

    def __init__(self, message: str, reason: str = "QUEUE_FULL", retry_after: float = 0.5) -> None:
        super().__init__(message, reason, retry_after)


class Unavailable(SprError):
    """A process that is needed does not answer; retry after a back-off."""

    status = grpc.StatusCode.UNAVAILABLE
    exit_code = 4

    def __init__(self, message: str, reason: str = "UNAVAILABLE", retry_after: float = 1.0) -> None:
        super().__init__(message, reason, retry_after)


class DeadlineExceeded(SprError):
    """The caller's time is over."""

    status = grpc.StatusCode.DEADLINE_EXCEEDED
    exit_code = 4

    def __init__(self, message: str, reason: str = "DEADLINE_EXCEEDED") -> None:
        super().__init__(message, reason)


class Unauthenticated(SprError):
    """The caller shows no token or certificate that is valid."""

    status = grpc.StatusCode.UNAUTHENTICATED
    exit_code = 5

    def __init__(self, message: str, reason: str = "UNAUTHENTICATED") -> None:
        super().__init__(message, reason)


class PermissionDenied(SprError):
    """The caller's token or certificate does not allow it."""

    status = grpc.StatusCode.PERMISSION_DENIED
    exit_code = 5

    def __init__(self, message: str, reason: str = "PERMISSION_DENIED") -> None:
        super().__init__(message, reason)


class WrongPort(SprError):
    """The method is served, but not here."""

    status = grpc.StatusCode.UNIMPLEMENTED
    exit_code = 2

    def __init__(self, message: str, reason: str = "WRONG_PORT") -> None:
        super().__init__(message, reason)


def of_machine(error: BaseException) -> Unavailable | None:
    """Return the refusal of an error that is this machine's and no program's; None of another."""
    if isinstance(error, RuntimeError) and "torchvision" in str(error):
        # It is imported by transformers wherever it is installed, whoever wants it.
        return Unavailable(
            f"torchvision is made for another torch than the one that is installed ({error}): install the "
            "torchvision of that torch, from where it came, or none: pip uninstall torchvision.",
            "TORCHVISION_OF_ANOTHER_TORCH",
        )
    return of_memory(error)


def of_memory(error: BaseException) -> Unavailable | None:
    """Return the refusal of an error that there is no memory, whoever says so; None of another."""
    torchs = type(error).__name__ == "OutOfMemoryError" or "DefaultCPUAllocator" in str(error)
    if not (
        isinstance(error, MemoryError)
        or (isinstance(error, RuntimeError) and torchs)
        or (isinstance(error, OSError) and error.errno == errno.ENOMEM)
        or (isinstance(error, ImportError) and "failed to map segment" in str(error))
    ):
        return None
    return Unavailable(
        "this process can have no more memory: run it again where there is more, or beside less, or with a "
        "higher limit.",
        "NO_MEMORY",
    )
