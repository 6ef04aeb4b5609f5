"""How a client shows who it is and whom it trusts: TLS and a token, given or from the environment."""

import ipaddress
import os
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import grpc
import grpc.aio

from spr_client.errors import InvalidInput

TOKEN, TOKEN_FILE, CA, CERT, KEY = "SPR_TOKEN", "SPR_TOKEN_FILE", "SPR_CA", "SPR_CERT", "SPR_KEY"
SYSTEM = "system"  # as SPR_CA: the authorities that gRPC brings
INTERVAL = 1.0  # seconds between looks at files
Value = TypeVar("Value")
File = str | Path
Metadata = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Tls:
    """Encryption of a client's channel. PEM files, read again when they change.

    authority: of those that the service's certificate is checked by; None: the public ones that gRPC brings.
    certificate, key: the client's own, where the service asks for one.
    """

    authority: File | None = None
    certificate: File | None = None
    key: File | None = None


class Access:
    """What a client shows to one address. InvalidInput where a file or the environment cannot be used.

    tls: None is what SPR_CA, SPR_CERT and SPR_KEY say, without them no encryption. token: the token, or the
    path of the file that holds it; None is what SPR_TOKEN and SPR_TOKEN_FILE say.
    """

    def __init__(self, address: str, tls: Tls | None = None, token: str | Path | None = None) -> None:
        self._address = address
        if not isinstance(tls, Tls | None) or not isinstance(token, str | Path | None):
            message = (
                f"tls is {tls!r:.80} and token a {type(token).__name__}; give a Tls, and a text or a Path"
            )
            raise InvalidInput(message, "BAD_PARAMETER")
        tls = _tls_of_environment() if tls is None else tls
        token = _token_of_environment() if token is None else token
        if token and tls is None and not all(map(_is_local, address.split(","))):
            message = f"the token would travel to {address} without encryption"
            remedy = f"give tls, or set {CA} to the service's authority.pem"
            raise InvalidInput(f"{message}; {remedy}", "TOKEN_UNENCRYPTED")
        self._credentials: _Kept[grpc.ChannelCredentials] | None = None
        if tls is not None:
            files = (tls.authority, tls.certificate, tls.key)
            if (tls.certificate is None) != (tls.key is None):
                raise InvalidInput(f"a certificate and its key go together; give both ({CERT}, {KEY})")
            self._credentials = _Kept(files, lambda: _read_credentials(*files))
        self._metadata: Metadata | None = None
        self._token: _Kept[Metadata] | None = None
        if isinstance(token, Path):
            self._token = _Kept([token], lambda: _bearer(_text(token), str(token)))
        elif token:
            self._metadata = _bearer(token, "the token")

    @property
    def credentials(self) -> grpc.ChannelCredentials | None:
        """What a channel is opened with; another object when its files have changed. None: no encryption."""
        return self._credentials.value if self._credentials else None

    @property
    def metadata(self) -> Metadata | None:
        """The metadata of a call."""
        return self._token.value if self._token else self._metadata

    def channel(self, target: str, options: Sequence[tuple[str, Any]]) -> grpc.Channel:
        """Open a channel to where the address leads."""
        if (credentials := self.credentials) is None:
            return grpc.insecure_channel(target, options)
        return grpc.secure_channel(target, credentials, [*options, *self._named()])

    def aio_channel(self, target: str, options: Sequence[tuple[str, Any]]) -> grpc.aio.Channel:
        """Open a channel of grpc.aio to where the address leads."""
        if (credentials := self.credentials) is None:
            return grpc.aio.insecure_channel(target, options)
        return grpc.aio.secure_channel(target, credentials, [*options, *self._named()])

    def _named(self) -> list[tuple[str, str]]:
        # Of several addresses gRPC would ask for one name of all together; all show the same certificate.
        first, *others = self._address.split(",")
        return [("grpc.ssl_target_name_override", first.rpartition(":")[0].strip("[]"))] if others else []


class Opened(Generic[Value]):
    """The channel to where an access leads; after a change of its files another one. Thread-safe.

    Calls on a former channel go on: the last one who holds it closes it.
    """

    def __init__(self, access: Access, open: Callable[[], Value]) -> None:
        self._access, self._open = access, open
        self._with: grpc.ChannelCredentials | None = None
        self._own: Value | None = None
        self._opening = threading.Lock()

    @property
    def now(self) -> Value:
        """The channel, opened when it is first asked for."""
        with self._opening:
            credentials = self._access.credentials
            if self._own is None or credentials is not self._with:
                self._with, self._own = credentials, self._open()
            return self._own

    def taken(self) -> Value | None:
        """Return the channel to be closed, None where there is none; who asks again opens another."""
        with self._opening:
            own, self._own = self._own, None
            return own


def none_for_borrowed(tls: Tls | None, token: str | Path | None) -> None:
    """Raise InvalidInput where a client with a channel of its user's is to show something of its own."""
    if tls is not None or token is not None:
        message = "tls and token are for a channel that the client opens"
        raise InvalidInput(f"{message}; open yours with credentials that carry them", "BAD_PARAMETER")


class _Kept(Generic[Value]):
    """What `read` makes of files, and makes again when they change; files that it refuses change nothing."""

    def __init__(self, files: Sequence[File | None], read: Callable[[], Value]) -> None:
        self._files, self._read = [file for file in files if file is not None], read
        self._looking = threading.Lock()
        self._seen = self._signature()
        self._value = read()
        self._again = time.monotonic() + INTERVAL

    @property
    def value(self) -> Value:
        if time.monotonic() >= self._again and self._looking.acquire(blocking=False):
            try:
                self._look()
            finally:
                self._looking.release()
        return self._value

    def _look(self) -> None:
        self._again = time.monotonic() + INTERVAL
        try:
            found = self._signature()
            if found != self._seen:
                self._value = self._read()
                self._seen = found
        except (OSError, InvalidInput):
            pass  # half written, perhaps: it is looked at again

    def _signature(self) -> list[tuple[int, int, int]]:
        states = []
        for file in self._files:
            try:
                states.append(os.stat(file))
            except OSError as error:
                raise InvalidInput(f"{file} cannot be read: {error.strerror}") from None
        return [(state.st_mtime_ns, state.st_size, state.st_ino) for state in states]


def _read_credentials(
    authority: File | None, certificate: File | None, key: File | None
) -> grpc.ChannelCredentials:
    files = (authority, key, certificate)
    try:
        pem = [None if file is None else Path(file).read_bytes() for file in files]
        context = ssl.create_default_context()
        if authority is not None:
            context.load_verify_locations(authority)
        if certificate is not None and key is not None:
            # gRPC says of a key that does not fit when it connects only.
            context.load_cert_chain(certificate, key, password=lambda: "")
        if pem != [None if file is None else Path(file).read_bytes() for file in files]:
            raise ValueError("they changed while they were read; try again")
    except (ssl.SSLError, ValueError) as error:
        given = ", ".join(str(file) for file in files if file is not None)
        why = getattr(error, "reason", None) or str(error)
        raise InvalidInput(f"{given}: no PEM certificates, or a key that does not fit ({why})") from None
    except OSError as error:
        raise InvalidInput(f"{error.filename} cannot be read: {error.strerror}") from None
    return grpc.ssl_channel_credentials(*pem)


def _bearer(token: str, source: str) -> Metadata:
    """Return the metadata that carries a token. source: of it, for the message, which never has the token."""
    token = token.strip()
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise InvalidInput(f"{source} holds no token: one word of ASCII, as `spr access token` prints it")
    return (("authorization", f"Bearer {token}"),)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InvalidInput(f"{path} holds no token: it is not text") from None


def _tls_of_environment() -> Tls | None:
    authority, certificate, key = (os.environ.get(name) or None for name in (CA, CERT, KEY))
    if authority is None and certificate is None and key is None:
        return None
    return Tls(None if authority == SYSTEM else authority, certificate, key)


def _token_of_environment() -> str | Path:
    token, file = os.environ.get(TOKEN, ""), os.environ.get(TOKEN_FILE, "")
    return token or (Path(file) if file else "")


def _is_local(address: str) -> bool:
    if address.startswith("unix:"):
        return True
    host = address.strip().rpartition(":")[0].strip("[]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
