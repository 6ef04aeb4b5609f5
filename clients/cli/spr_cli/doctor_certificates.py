"""The files that a topology's [access] table names: certificates, until when, and who may read the keys."""

import stat
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from spr_cli.findings import Finding, Findings

SOON = timedelta(days=30)
_CERTIFICATE, _KEY = b"-----BEGIN CERTIFICATE-----", b"PRIVATE KEY-----"


def findings(access: Mapping[str, Any], folder: Path) -> Findings:
    """Yield what is found of the [access] table of a topology in `folder`; nothing where there is none."""
    for path in sorted({folder / name for name in _texts(access) if _may_be_file(name)}):
        if not path.is_file():
            continue
        try:
            data = path.read_bytes()
        except OSError as error:
            yield Finding("error", "access", f"{path} cannot be read ({error.strerror}): correct its owner")
            continue
        if _KEY in data:
            yield from _key(path)
        if _CERTIFICATE in data:
            yield from _certificates(path, data)


def _texts(value: Any) -> Iterator[str]:
    """Yield all texts of a table, however nested."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from _texts(one)
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one)


def _may_be_file(name: str) -> bool:
    return 0 < len(name) < 4096 and "\0" not in name and "\n" not in name


def _key(path: Path) -> Findings:
    if path.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH | stat.S_IWGRP | stat.S_IWOTH):
        yield Finding("warning", "access", f"{path} is a private key that others may read: chmod 600 {path}")


def _certificates(path: Path, data: bytes) -> Findings:
    try:
        from cryptography import x509
    except ImportError:
        said = f"the expiry of {path} is not checked without cryptography: pip install cryptography"
        yield Finding("warning", "access", said)
        return
    try:
        ends = min(one.not_valid_after_utc for one in x509.load_pem_x509_certificates(data))
    except ValueError:
        yield Finding("error", "access", f"{path} is no certificate that can be read: write it again as PEM")
        return
    left, day = ends - datetime.now(UTC), ends.date().isoformat()
    if left < timedelta():
        yield Finding("error", "access", f"{path} expired on {day}: renew it")
    elif left < SOON:
        yield Finding("warning", "access", f"{path} expires on {day}, in {left.days} days: renew it")
    else:
        yield Finding("ok", "access", f"{path} is valid until {day}")
