"""The certificates of a service's processes: read, checked, and given to gRPC servers and channels."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import grpc
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization

from engine.access.settings import AccessConfig
from engine.errors import InvalidInput
from engine.reloaded import Reloaded

_log = logging.getLogger("spr.access")
Loaded = TypeVar("Loaded")
SOON = timedelta(days=14)  # before its end a certificate is warned of
_AGAIN = "`spr access certificates` makes it again"
_ANEW = "move it and its key away: `spr access certificates` then makes another, and a certificate of it"


@dataclass(frozen=True, slots=True, eq=False)
class Certificates:
    """A process's certificate with its chain, its private key, and the authorities it trusts, all PEM.

    path: of the file with the certificate of its chain that ends first, its authority's among them. ends:
    when that does. remedy: what makes one that does not.
    """

    certificate: bytes
    key: bytes = field(repr=False)
    authority: bytes
    path: Path
    ends: datetime
    remedy: str

    def warn_of_end(self) -> None:
        """Write a line of log if the certificate ends soon."""
        if self.ends - datetime.now(UTC) < SOON:
            _log.warning("%s ends on %s; %s", self.path, f"{self.ends:%F}", self.remedy)

    def channel_credentials(self) -> grpc.ChannelCredentials:
        """Return the credentials by which this process calls another of the service."""
        return grpc.ssl_channel_credentials(self.authority, self.key, self.certificate)

    def server_configuration(self, ask: bool) -> grpc.ServerCertificateConfiguration:
        """Return what a server shows. ask: whether callers are to show a certificate, too."""
        pairs = [(self.key, self.certificate)]
        return grpc.ssl_server_certificate_configuration(pairs, self.authority if ask else None)


def kept(settings: AccessConfig) -> Reloaded[Certificates]:
    """Return the certificates of a topology, read again when their files change; InvalidInput if bad."""
    paths = (settings.certificate, settings.key, settings.authority)
    return Reloaded(paths, lambda: read(*paths, settings.name))


def server_credentials(of: Reloaded[Certificates], ask: bool) -> grpc.ServerCredentials:
    """Return the credentials of a server. ask: whether callers have to show a certificate, too.

    Handshakes after a change of the files use the new ones; connections that are open stay.
    """
    shown, day = of.value, _today()
    shown.warn_of_end()

    def changed() -> grpc.ServerCertificateConfiguration | None:
        nonlocal shown, day
        now = of.value
        if day != _today():
            day = _today()
            now.warn_of_end()
        if now is shown:
            return None
        shown = now
        return now.server_configuration(ask)

    # None is for no change; grpc's types do not know it.
    return grpc.dynamic_ssl_server_credentials(shown.server_configuration(ask), changed, ask)  # type: ignore[arg-type]


def read(certificate: Path, key: Path, authority: Path, name: str = "") -> Certificates:
    """Read and check the files; InvalidInput names the one that cannot be used.

    name: DNS name that the certificate must have; "" for any.
    """
    # Once: what is checked is what is used, also while somebody replaces one file after the other.
    pem = (_read(certificate), _read(key), _read(authority))
    chain = _loaded(certificate, pem[0], x509.load_pem_x509_certificates, "no certificate in PEM")
    trusted = _loaded(authority, pem[2], x509.load_pem_x509_certificates, "no certificate in PEM")
    own = _loaded(key, pem[1], lambda data: serialization.load_pem_private_key(data, None), "no private key")
    leaf = chain[0]
    form = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    if leaf.public_key().public_bytes(*form) != own.public_key().public_bytes(*form):
        raise InvalidInput(f"{key} is not the key of {certificate}; {_AGAIN}")
    issuers = [one for one in trusted if _issued(chain[-1], one)]
    if not issuers:
        raise InvalidInput(f"{certificate} is not issued by an authority of {authority}; {_AGAIN}")
    now = datetime.now(UTC)
    issuer = max(issuers, key=lambda one: (one.not_valid_before_utc <= now, one.not_valid_after_utc))
    _check_time(authority, issuer, _ANEW)
    _check_time(certificate, leaf, _AGAIN)
    if name and name not in names_of(leaf):
        there = ", ".join(names_of(leaf)) or "none"
        raise InvalidInput(
            f"{certificate} lacks the DNS name {name}, by which the service's processes know each other (it "
            f"has: {there}); {_AGAIN}, or set name in [access]"
        )
    ends, last = min(one.not_valid_after_utc for one in chain), issuer.not_valid_after_utc
    if last < ends:
        return Certificates(*pem, authority, last, _ANEW)
    return Certificates(*pem, certificate, ends, _AGAIN)


def names_of(certificate: x509.Certificate) -> list[str]:
    """Return the DNS names of a certificate."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return []
    return names.value.get_values_for_type(x509.DNSName)


def _today() -> int:
    return int(time.time() // 86400)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise InvalidInput(f"{path} does not exist; {_AGAIN.replace(' again', '')}") from None


def _loaded(path: Path, data: bytes, load: Callable[[bytes], Loaded], fault: str) -> Loaded:
    try:
        return load(data)
    except (ValueError, TypeError) as error:
        locked = " (it has a password; SPR reads keys without)" if isinstance(error, TypeError) else ""
        raise InvalidInput(f"{path} has {fault}{locked}; {_AGAIN}") from None


def _check_time(path: Path, certificate: x509.Certificate, remedy: str) -> None:
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if not begins <= datetime.now(UTC) < ends:
        raise InvalidInput(f"{path} is valid from {begins:%F} to {ends:%F} only; {remedy}")


def _issued(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    """Whether an authority issued a certificate, or is it."""
    if certificate == authority:
        return True
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True
