"""A private authority and the certificates it issues, for who has none: elliptic keys on P-256."""

import contextlib
import ipaddress
import os
import re
import socket
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from engine.access.certificates import read
from engine.access.settings import AUTHORITY, CERTIFICATE, FLEET, KEY
from engine.errors import InvalidInput
from engine.files import make_folder, replacing

AUTHORITY_KEY = "authority-key.pem"
AUTHORITY_DAYS = 3650
_SKEW = timedelta(minutes=5)  # that other machines' clocks may be behind
_CALLER = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_LABEL = r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_HOST = re.compile(rf"(\*\.)?{_LABEL}(\.{_LABEL})*")
LONGEST_HOST = 253
_OURS = (CERTIFICATE, KEY, AUTHORITY, AUTHORITY_KEY)
_USES = {"server": ExtendedKeyUsageOID.SERVER_AUTH, "client": ExtendedKeyUsageOID.CLIENT_AUTH}


def make(folder: Path, hosts: Iterable[str], days: int, callers: Sequence[str] = ()) -> list[str]:
    """Issue the service's certificate, and one for each caller named; return the service's names.

    The authority is made at the first time. Names that the certificate of before had are kept. InvalidInput
    where the folder's authority cannot be used.
    """
    for name in callers:
        if not _CALLER.fullmatch(name) or name == FLEET or {f"{name}.pem", f"{name}-key.pem"} & set(_OURS):
            message = "write small letters, digits and -, and no name of the service's own files"
            raise InvalidInput(f"{name!r} cannot name a caller's certificate; {message}")
    hosts = list(hosts)
    for host in hosts:
        if not _is_host(host):
            message = "write ASCII letters, digits, dots and -, as in search.example.org, or an IP address"
            raise InvalidInput(f"{host!r} is no host name; {message}")
    make_folder(folder)
    if not (folder / AUTHORITY).exists():
        key = ec.generate_private_key(ec.SECP256R1())
        _write(folder, AUTHORITY_KEY, _private(key), secret=True)
        _write(folder, AUTHORITY, _pem(_authority(key)))
    if not (folder / AUTHORITY_KEY).exists():
        raise InvalidInput(f"{folder / AUTHORITY_KEY} is not there; only who has it can issue certificates")
    made = read(folder / AUTHORITY, folder / AUTHORITY_KEY, folder / AUTHORITY)
    issuer = x509.load_pem_x509_certificate(made.certificate)
    signer = serialization.load_pem_private_key(made.key, None)
    assert isinstance(signer, ec.EllipticCurvePrivateKey)
    names = _names(folder, hosts)
    _issue(folder, CERTIFICATE, KEY, (issuer, signer), names, ("server", "client"), days)
    for name in callers:
        _issue(folder, f"{name}.pem", f"{name}-key.pem", (issuer, signer), [name], ("client",), days)
    return names


def _is_host(name: str) -> bool:
    """Tell whether callers can have a name for an address, which has no port."""
    with contextlib.suppress(ValueError):
        return bool(ipaddress.ip_address(name.strip("[]")))
    return bool(_HOST.fullmatch(name)) and len(name) <= LONGEST_HOST


def _names(folder: Path, hosts: Iterable[str]) -> list[str]:
    """Return the names of the service's certificate: its own, this machine's, those given and of before."""
    before: list[str] = []
    with contextlib.suppress(OSError, ValueError, x509.ExtensionNotFound):
        certificate = x509.load_pem_x509_certificate((folder / CERTIFICATE).read_bytes())
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        before = [str(name.value) for name in found]
    ours = [FLEET, "localhost", "127.0.0.1", "::1", socket.gethostname()]
    return list(filter(_is_host, dict.fromkeys([*ours, *before, *hosts])))


def _issue(
    folder: Path,
    file: str,
    key_file: str,
    authority: tuple[x509.Certificate, ec.EllipticCurvePrivateKey],
    names: Sequence[str],
    uses: Sequence[str],
    days: int,
) -> None:
    issuer, signer = authority
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        _builder(names[0], issuer.subject, key, days)
        .add_extension(x509.SubjectAlternativeName([_general(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([_USES[use] for use in uses]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
        )
        .sign(signer, hashes.SHA256())
    )
    # The key first: processes that look in between keep what they have until both fit.
    _write(folder, key_file, _private(key), secret=True)
    _write(folder, file, _pem(certificate))


def _authority(key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "SPR private authority")])
    public = key.public_key()
    return (
        _builder("SPR private authority", subject, key, AUTHORITY_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .sign(key, hashes.SHA256())
    )


def _builder(
    subject: str, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, days: int
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(now + timedelta(days=days))
    )


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name.strip("[]")))
    except ValueError:
        pass
    return x509.DNSName(name)


def _private(key: ec.EllipticCurvePrivateKey) -> bytes:
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _write(folder: Path, name: str, data: bytes, secret: bool = False) -> None:
    with replacing(folder / name) as partial:
        # Nobody else can read a key, not for a moment.
        handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if secret else 0o644)
        with open(handle, "wb") as file:
            file.write(data)
