"""Certificates: what is refused, and servers and channels that follow their files."""

import asyncio
import logging
import re
import shutil
import ssl
from pathlib import Path
from typing import Any

import grpc
import pytest

from engine import reloaded, servers
from engine.access import certificates, making, settings
from engine.access.process import Access
from engine.access.settings import AccessConfig
from engine.admission import Admission
from engine.errors import InvalidInput
from spr.internal.v1 import encoder_service_pb2 as pb
from spr.internal.v1 import encoder_service_pb2_grpc as encoder_grpc
from tests.engine.credentials import Credentials, make


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Credentials:
    return make(tmp_path_factory.mktemp("access"))


@pytest.fixture
def config(made: Credentials, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AccessConfig:
    """Return the settings of a copy that the test may change; each use looks at the files."""
    monkeypatch.setattr(reloaded, "INTERVAL", 0.0)
    return Credentials(shutil.copytree(made.folder, tmp_path / "access"), {}).config()


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def _other_authority(config: AccessConfig) -> None:
    folder = config.authority.parent / "other"
    making.make(folder, [], 30)
    shutil.copy(folder / settings.AUTHORITY, config.authority)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            lambda config: config.key.unlink(),
            "fleet-key.pem does not exist; `spr access cert",
        ),
        (lambda config: _cut(config.certificate), "fleet.pem has no certificate in PEM"),
        (lambda config: _cut(config.key), "fleet-key.pem has no private key"),
        (lambda config: config.authority.write_text("x"), "authority.pem has no certificate in PEM"),
        (lambda config: shutil.copy(config.key.with_name("web-key.pem"), config.key), "is not the key of"),
        (lambda config: making.make(config.key.parent, [], 0), "is valid from .* only"),
        (_other_authority, "is not issued by an authority of"),
        (
            lambda config: [
                shutil.copy(config.key.with_name(f"web{end}"), config.key.with_name(f"fleet{end}"))
                for end in (".pem", "-key.pem")
            ],
            "lacks the DNS name spr-fleet",
        ),
    ],
)
def test_what_cannot_be_used_is_named(config: AccessConfig, spoil: Any, message: str) -> None:
    kept = certificates.kept(config)
    before = kept.value
    spoil(config)
    with pytest.raises(InvalidInput, match=message):
        certificates.kept(config)
    # A process that runs goes on with what it had.
    assert kept.value is before


def test_what_is_checked_is_what_is_used_while_files_are_replaced(
    config: AccessConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    check, other = certificates._issued, config.key.parent / "other"
    making.make(other, [], 30)

    def replaced(*pair: Any) -> bool:
        shutil.copy(other / settings.KEY, config.key)
        return check(*pair)

    monkeypatch.setattr(certificates, "_issued", replaced)
    found = certificates.read(config.certificate, config.key, config.authority)
    context = ssl.create_default_context()
    for name, data in (("cert.pem", found.certificate), ("key.pem", found.key)):
        (config.key.parent / name).write_bytes(data)
    context.load_cert_chain(config.key.parent / "cert.pem", config.key.parent / "key.pem")


def test_a_certificate_that_ends_soon_is_warned_of_once_a_day(
    config: AccessConfig, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    making.make(config.key.parent, [], 13)

    async def run() -> None:
        door = Access(config).for_callers()
        server = servers.aio_server(Admission(16), door=door)
        servers.add_probes(server, [])
        address = servers.bind(server, "127.0.0.1:0", door)
        await server.start()
        for day in (0, 0, 1, 1):
            monkeypatch.setattr(certificates, "_today", lambda day=day: start + day)
            credentials = grpc.ssl_channel_credentials(config.authority.read_bytes())
            alone = [("grpc.use_local_subchannel_pool", 1)]
            async with grpc.aio.secure_channel(address, credentials, alone) as channel:
                await channel.channel_ready()
        await server.stop(None)

    start = certificates._today()
    asyncio.run(run())
    assert caplog.text.count("fleet.pem ends on") == 2


@pytest.mark.parametrize(
    ("days", "said"),
    [(3650, r"fleet\.pem ends on .*makes it again"), (12, r"authority\.pem ends on .*move it and its key")],
)
def test_the_file_that_ends_first_is_named_with_what_makes_another(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, days: int, said: str
) -> None:
    monkeypatch.setattr(making, "AUTHORITY_DAYS", days)
    config = make(tmp_path).config()
    making.make(tmp_path, [], 13)
    certificates.kept(config).value.warn_of_end()
    assert re.search(said, caplog.text)


def test_an_authority_that_has_ended_is_named_and_not_said_to_be_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(making, "AUTHORITY_DAYS", 0)
    with monkeypatch.context() as unchecked:
        unchecked.setattr(certificates, "_check_time", lambda *_: None)
        config = make(tmp_path).config()
    for use in (lambda: certificates.kept(config), lambda: making.make(tmp_path, [], 30)):
        with pytest.raises(InvalidInput, match=r"authority\.pem is valid from .* only; move it and its key"):
            use()
    for name in (settings.AUTHORITY, making.AUTHORITY_KEY):
        (tmp_path / name).unlink()
    monkeypatch.undo()
    making.make(tmp_path, [], 30)
    assert certificates.kept(config).value.path == config.certificate


def test_made_again_it_has_the_names_of_before_and_keys_are_the_owners_alone(config: AccessConfig) -> None:
    folder = config.key.parent
    first = making.make(folder, ["search.example.org", "10.0.0.7"], 30)
    assert {"search.example.org", "10.0.0.7"} <= set(making.make(folder, [], 30)) == set(first)
    keys = sorted(folder.glob("*-key.pem"))
    assert [path.stat().st_mode & 0o777 for path in keys] == 3 * [0o600]
    for name in ("spr-fleet", "fleet", "authority", "../web", ""):
        with pytest.raises(InvalidInput, match="cannot name a caller's certificate"):
            making.make(folder, [], 30, [name])


class Encoder(encoder_grpc.EncoderServiceServicer):
    """Answers with the certificate that the caller showed; "wait" waits for `leave`."""

    def __init__(self) -> None:
        self.inside, self.leave = asyncio.Event(), asyncio.Event()

    async def Encode(self, request: pb.EncodeRequest, context: Any) -> pb.EncodeResponse:
        if request.text == "wait":
            self.inside.set()
            await self.leave.wait()
        return pb.EncodeResponse(generation=context.auth_context()["x509_pem_cert"][0].decode())

    def EncodeExamples(self, request: Any, context: Any) -> Any:
        raise NotImplementedError


def test_certificates_change_on_both_sides_without_a_failed_call(
    config: AccessConfig, caplog: pytest.LogCaptureFixture
) -> None:
    async def run() -> None:
        access, encoder = Access(config), Encoder()
        door = access.for_fleet()
        server = servers.aio_server(Admission(16), door=door)
        encoder_grpc.add_EncoderServiceServicer_to_server(encoder, server)
        address = servers.bind(server, "127.0.0.1:0", door)
        await server.start()
        channel = access.connect(address, servers.CHANNEL_OPTIONS)
        stub: Any = encoder_grpc.EncoderServiceStub(channel)
        held = stub.Encode(pb.EncodeRequest(text="wait"))
        await encoder.inside.wait()
        first, shown = config.certificate.read_text(), set()
        for _ in range(3):
            making.make(config.key.parent, [], 30)
            for _ in range(20):
                shown.add((await stub.Encode(pb.EncodeRequest(), timeout=60)).generation)
        assert config.certificate.read_text() in shown
        assert len(shown) == 3
        # A call that began before is answered on the channel of before.
        encoder.leave.set()
        assert (await held).generation == first
        # A half-written key changes nothing, and is told once.
        _cut(config.key)
        caplog.set_level(logging.WARNING)
        for _ in range(5):
            assert (await stub.Encode(pb.EncodeRequest(), timeout=60)).generation in shown
        assert caplog.text.count("what it was before is used on") == 1
        await channel.close()
        await server.stop(None)

    asyncio.run(run())


def test_a_new_handshake_sees_the_servers_new_certificate(config: AccessConfig) -> None:
    async def run() -> list[bool]:
        door = Access(config).for_callers()
        server = servers.aio_server(Admission(16), door=door)
        servers.add_probes(server, [])
        address = servers.bind(server, "127.0.0.1:0", door)
        await server.start()
        old = config.authority.read_bytes()
        other = config.key.parent / "other"
        making.make(other, [], 30)
        for name in (settings.KEY, settings.CERTIFICATE, settings.AUTHORITY):
            shutil.copy(other / name, config.key.parent / name)
        found = []
        for authority in (old, config.authority.read_bytes()):
            credentials = grpc.ssl_channel_credentials(authority)
            async with grpc.aio.secure_channel(address, credentials) as channel:
                check: Any = channel.unary_unary("/grpc.health.v1.Health/Check")
                try:
                    await check(b"", timeout=60)
                    found.append(True)
                except grpc.aio.AioRpcError:
                    found.append(False)
        await server.stop(None)
        return found

    assert asyncio.run(run()) == [False, True]


@pytest.mark.parametrize("host", ["", "a host", "https://host", "host:7400", "b\u00fccher.example", "a..b"])
def test_what_no_caller_can_ask_for_is_no_name_of_a_certificate(tmp_path: Path, host: str) -> None:
    with pytest.raises(InvalidInput, match="is no host name; write ASCII letters"):
        making.make(tmp_path, ["10.0.0.7", host], 30)
    assert not list(tmp_path.iterdir())
    others = ["*.example.org", "2001:db8::1"]
    assert making.make(tmp_path, others, 30)[-2:] == others
