"""What the commands of `spr admin` share: options, the call, and how its failure is told."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

import click

from spr_cli.options import ADDRESS, SECONDS, WORDS, Command, access

if TYPE_CHECKING:
    import grpc

    from spr.v1.admin_service_pb2_grpc import AdminServiceStub


def AT(command: Command) -> Command:
    """Give a command the options of the coordinator's admin port, and of who calls."""
    address = click.option(
        "--address",
        type=ADDRESS,
        default="127.0.0.1:7401",
        show_default=True,
        help="The coordinator's admin port.",
    )
    return address(access(command))


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
    from spr.v1.admin_service_pb2_grpc import AdminServiceStub

    with called(address, as_json) as channel:
        yield AdminServiceStub(channel)


@contextmanager
def called(address: str, as_json: bool) -> Iterator["grpc.Channel"]:
    """Yield a channel to the operator's port; a call that fails is told, and ends the command."""
    import grpc

    from spr_cli.bearer import Bearer
    from spr_client import SearchError
    from spr_client.access import Access

    try:
        shown = Access(address)
        with shown.channel(address, ()) as channel:
            yield grpc.intercept_channel(channel, Bearer(shown))
    except SearchError as error:
        end(str(error), error.reason, 2, as_json)
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
    from spr_client.errors import fault_of_tls, why_unreachable

    code, reason = error.code(), faults.reason_of(error)
    if reason and code is not grpc.StatusCode.UNIMPLEMENTED:
        return error.details(), reason, faults.error_of(error, "").exit_code
    told = error.details() or ""
    if (fault := fault_of_tls(told)) is not None:
        return f"no connection to {address}: {fault}", "TLS_FAILED", 5
    late = code is grpc.StatusCode.DEADLINE_EXCEEDED
    what = "does not answer in time" if late else "is no coordinator that answers"
    if code is grpc.StatusCode.UNIMPLEMENTED:
        what = "is no coordinator's admin port"
    return f"at {address} {what}: {why_unreachable(told)}", reason or code.name, 4


def end(sentence: str, reason: str, code: int, as_json: bool) -> NoReturn:
    """Print why a command ends, also as JSON, and exit."""
    from engine.printable import printable
    from spr_cli.output import print_json

    if as_json:
        print_json({"error": sentence, "reason": reason})
    click.echo(f"spr: {printable(sentence)}", err=True)
    sys.exit(code)
