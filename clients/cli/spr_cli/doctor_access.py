"""What a topology's [access] table names: whether its processes can start with it, and ask each other."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from engine.access import certificates, tokens
from engine.config import Topology
from engine.errors import SprError, Unauthenticated, argument
from engine.files import read_toml
from spr_cli import doctor_certificates
from spr_cli.findings import Finding, Findings


def findings(topology: Topology) -> Findings:
    """Yield what is found; nothing where there is no such table."""
    access = topology.access
    if access is None:
        return
    found = list(doctor_certificates.findings(read_toml(topology.path)["access"], topology.path.parent))
    yield from found
    if all(one.severity != "error" for one in found):
        yield from _read(
            lambda: certificates.read(access.certificate, access.key, access.authority, access.name)
        )
    refused = list(_read(lambda: tokens.read(access.tokens)))
    yield from refused
    for table, about in (("page", topology.page), ("library", topology.library)):
        if about is not None and about.token and not refused:
            yield from _token(access.tokens, topology.path.parent / about.token, table)


def _read(read: Callable[[], object]) -> Findings:
    """Say what processes would refuse of the files when they start."""
    try:
        read()
    except SprError as error:
        yield Finding("error", "access", str(error))
    except OSError as error:
        said = f"{error.filename} cannot be read ({error.strerror}): correct its owner"
        yield Finding("error", "access", said)


def _token(known: Path, path: Path, table: str) -> Findings:
    """Say what is wrong with the token that a process shows to the coordinators."""
    folder, file = argument(known.parent), argument(path)
    remedy = f"`spr access token {table} --scope search --folder {folder} > {file}` makes another"
    which = f"{path}, the token of [{table}]"
    try:
        token = tokens.Tokens(known).of(path.read_text("utf-8-sig").strip())
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is no text"
        yield Finding("error", "access", f"{which}, cannot be read ({why}): {remedy}")
        return
    except Unauthenticated as error:
        yield Finding("error", "access", f"{which}, is refused ({str(error).partition(';')[0]}): {remedy}")
        return
    if "search" not in token.scopes:
        yield Finding("error", "access", f"{which}, may not search: {remedy}")
    elif token.expires and token.expires - datetime.now(UTC) < doctor_certificates.SOON:
        yield Finding("warning", "access", f"{which}, expires on {token.expires:%F}: {remedy}")
