"""What the commands of `spr admin` share: options, the call, and how its failure is told."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

import click

from spr_cli.options import ADDRESS, SECONDS, WORDS, Command

if TYPE_CHECKING:
    from spr.v1.admin_service_pb2_grpc import AdminServiceStub

AT = click.option(
    "--address",
    type=ADDRESS,
    default="127.0.0.1:7401",
    show_default=True,
    help="The coordinator's admin port.",
)
COLLECTION = click.option(
    "--collection", type=WORDS, default="", help="Its name.  [default: the first that is served]"
)
AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


def patience(seconds: float, what: str = "For the answer") -> Callable[[Command], Command]:
    """Return the option of how long a command waits."""
    return click.option(
        "--timeout", type=SECONDS, default=seconds, show_default=True, help=f"{what}; inf waits."
    )


@contextmanager
def operator(address: str, as_json: bool) -> Iterator["AdminServiceStub"]:
    """Yield the operator's service; a call that fails is told, and ends the command."""
    import grpc

    from spr.v1.admin_service_pb2_grpc import AdminServiceStub

    try:
        with grpc.insecure_channel(address) as channel:
            yield AdminServiceStub(channel)
    except grpc.RpcError as error:
        fail(error, address, as_json)


def fail(error: Any, address: str, as_json: bool) -> NoReturn:
    """Say why a call failed, and exit with the code of its kind. error: the grpc.RpcError."""
    sentence, reason, code = failure(error, address)
    end(sentence, reason, code, as_json)


def failure(error: Any, address: str) -> tuple[str, str, int]:
    """Return why a call failed: a sentence, the reason, an exit code. error: the grpc.RpcError."""
    import grpc

    from engine import faults

    code, reason = error.code(), faults.reason_of(error)
    if reason and code is not grpc.StatusCode.UNIMPLEMENTED:
        return error.details(), reason, faults.error_of(error, "").exit_code
    late = code is grpc.StatusCode.DEADLINE_EXCEEDED
    what = "does not answer in time" if late else "is no coordinator that answers"
    if code is grpc.StatusCode.UNIMPLEMENTED:
        what = "is no coordinator's admin port"
    return f"at {address} {what}: {error.details()}", reason or code.name, 4


def end(sentence: str, reason: str, code: int, as_json: bool) -> NoReturn:
    """Print why a command ends, also as JSON, and exit."""
    from engine.printable import printable
    from spr_cli.output import print_json

    if as_json:
        print_json({"error": sentence, "reason": reason})
    click.echo(f"spr: {printable(sentence)}", err=True)
    sys.exit(code)
