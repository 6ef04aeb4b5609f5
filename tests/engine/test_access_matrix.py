"""Every RPC of every service by every credential, against real servers with TLS."""

import asyncio
import importlib
import pkgutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import grpc
import grpc.aio
import pytest
from google.protobuf.descriptor import ServiceDescriptor
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

import spr.internal.v1
import spr.v1
from engine import callers, servers
from engine.access import rules
from engine.access.guard import Door
from engine.access.process import Access
from engine.admission import Admission
from engine.faults import reason_of
from tests.engine.credentials import Credentials, bearer, make

CREDENTIALS = ("", "unknown", "expired", "search", "write", "admin")
# What is expected of the table, written down apart from it.
ALLOWED = {
    "/spr.v1.SearchService/": {"search"},
    "/spr.v1.AdminService/SubmitJob": {"write"},
    "/spr.v1.AdminService/ActivateVersion": {"admin"},
    "/spr.v1.AdminService/DrainWorker": {"admin"},
    "/spr.v1.AdminService/": {"write", "admin"},
    "/spr.v1.StandingService/CreateStandingSearch": {"admin"},
    "/spr.v1.StandingService/DeleteStandingSearch": {"admin"},
    "/spr.v1.StandingService/": {"search", "admin"},
    "/spr.v1.FeedbackService/ListJudgements": {"write", "admin"},
    "/spr.v1.FeedbackService/": {"write"},
    "/grpc.reflection": {"search", "write", "admin"},
    "/grpc.health": {*CREDENTIALS},
    "/spr.internal": set(),
    "/spr.v1.Unknown": set(),
}
REFUSED = {
    "": ("UNAUTHENTICATED", "TOKEN_MISSING"),
    "unknown": ("UNAUTHENTICATED", "TOKEN_UNKNOWN"),
    "expired": ("UNAUTHENTICATED", "TOKEN_EXPIRED"),
}


def services() -> Iterator[ServiceDescriptor]:
    for package in (spr.v1, spr.internal.v1):
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            if module.name.endswith("_pb2"):
                yield from importlib.import_module(module.name).DESCRIPTOR.services_by_name.values()
    for standard in (health_pb2, reflection_pb2):
        yield from standard.DESCRIPTOR.services_by_name.values()


METHODS = [f"/{one.full_name}/{method.name}" for one in services() for method in one.methods]
INTERNAL = [method for method in METHODS if method.startswith("/spr.internal")]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Credentials:
    return make(tmp_path_factory.mktemp("access"))


def test_every_rpc_is_in_the_table_and_nothing_else() -> None:
    there = {f"/{service}/{rpc}" for service, rpcs in rules.RULES.items() for rpc in rpcs}
    assert there == set(METHODS)


async def _name(request: bytes, context: Any) -> bytes:
    return callers.caller_of(context).encode()


@asynccontextmanager
async def serving(door: Door) -> AsyncIterator[str]:
    """Serve every method, with the caller's name for an answer."""
    server = servers.aio_server(Admission(1000), door=door)
    for one in services():
        handlers: dict[str, Any] = {
            method.name: grpc.unary_unary_rpc_method_handler(_name, bytes) for method in one.methods
        }
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(one.full_name, handlers),))
    address = servers.bind(server, "127.0.0.1:0", door)
    await server.start()
    yield address
    await server.stop(None)


async def answered(channel: grpc.aio.Channel, method: str, token: str = "") -> tuple[str, str]:
    """Return the status of a call and its reason."""
    try:
        call: Any = channel.unary_unary(method)
        await call(b"", metadata=bearer(token), timeout=60)
    except grpc.aio.AioRpcError as error:
        return error.code().name, reason_of(error)
    return "OK", ""


def expected(method: str, kind: str) -> tuple[str, str]:
    allowed = next(kinds for start, kinds in ALLOWED.items() if method.startswith(start))
    if kind in allowed:
        return "OK", ""
    if method.startswith(("/spr.internal", "/spr.v1.Unknown")):
        return "PERMISSION_DENIED", "FLEET_ONLY" if "internal" in method else "NO_RULE"
    return REFUSED.get(kind, ("PERMISSION_DENIED", "SCOPE_MISSING"))


@pytest.mark.parametrize("callers", ["none", "certificate"])
def test_a_port_for_callers_asks_for_a_token_with_the_scope(
    made: Credentials, callers: Literal["none", "certificate"]
) -> None:
    asked = [(method, kind) for method in [*METHODS, "/spr.v1.Unknown/Any"] for kind in CREDENTIALS]

    async def run() -> list[tuple[str, str]]:
        credentials = made.channel("web" if callers == "certificate" else "")
        async with (
            serving(Access(made.config(callers)).for_callers()) as address,
            grpc.aio.secure_channel(address, credentials) as channel,
        ):
            calls = (answered(channel, method, made.tokens.get(kind, "")) for method, kind in asked)
            return await asyncio.gather(*calls)

    told = dict(zip(asked, asyncio.run(run()), strict=True))
    assert told == {one: expected(*one) for one in asked}


@pytest.mark.parametrize(
    ("certificate", "code"),
    [("fleet", "OK"), ("web", "PERMISSION_DENIED"), ("", "UNAVAILABLE"), ("stranger", "UNAVAILABLE")],
)
def test_a_workers_port_lets_in_the_services_own_certificate_alone(
    made: Credentials, tmp_path: Path, certificate: str, code: str
) -> None:
    credentials = made.channel("" if certificate == "stranger" else certificate)
    if certificate == "stranger":
        # The right name, of another authority.
        other = make(tmp_path)
        pair = (other.folder / "fleet-key.pem").read_bytes(), (other.folder / "fleet.pem").read_bytes()
        credentials = grpc.ssl_channel_credentials(made.authority.read_bytes(), *pair)

    async def run() -> set[tuple[str, str]]:
        named = [("grpc.ssl_target_name_override", "spr-fleet")]
        async with (
            serving(Access(made.config()).for_fleet()) as address,
            grpc.aio.secure_channel(address, credentials, named) as channel,
        ):
            # A token opens no worker.
            token = made.tokens["admin"]
            return set(await asyncio.gather(*(answered(channel, method, token) for method in INTERNAL)))

    assert asyncio.run(run()) == {(code, "FLEET_ONLY" if code == "PERMISSION_DENIED" else "")}


@pytest.mark.parametrize("caller", ["without a certificate", "of another authority", "without encryption"])
def test_who_cannot_shake_hands_is_answered_nothing(made: Credentials, tmp_path: Path, caller: str) -> None:
    async def run() -> tuple[str, str]:
        async with serving(Access(made.config("certificate")).for_callers()) as address:
            credentials = (make(tmp_path) if "authority" in caller else made).channel()
            plain = grpc.aio.insecure_channel(address)
            secure = grpc.aio.secure_channel(address, credentials)
            async with plain, secure:
                channel = plain if "encryption" in caller else secure
                return await answered(channel, "/spr.v1.SearchService/Search", made.tokens["search"])

    assert asyncio.run(run()) == ("UNAVAILABLE", "")


def test_a_caller_is_known_by_the_name_of_its_token(made: Credentials) -> None:
    async def run() -> list[bytes]:
        async with (
            serving(Access(made.config()).for_callers()) as address,
            grpc.aio.secure_channel(address, made.channel()) as channel,
        ):
            search: Any = channel.unary_unary("/spr.v1.SearchService/Search")
            status: Any = channel.unary_unary("/spr.v1.AdminService/GetStatus")
            calls = [(search, "search"), (status, "write"), (status, "admin")]
            tokens = made.tokens
            return list(
                await asyncio.gather(*(call(b"", metadata=bearer(tokens[kind])) for call, kind in calls))
            )

    assert asyncio.run(run()) == [b"search-only", b"write-only", b"admin-only"]
