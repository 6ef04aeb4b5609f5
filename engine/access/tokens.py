"""Bearer tokens of callers: a TOML file with their names, scopes and SHA-256 hashes, never the tokens.

[[token]]
name = "web"
scopes = ["search"]
sha256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
created = 2026-01-23T19:50:12Z
expires = 2026-04-23T19:50:12Z       # may be left out

Several tokens of one name are valid at once: the next one is made before the last one is revoked.
"""

import contextlib
import fcntl
import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from engine.access.rules import Scope
from engine.errors import InvalidInput, NotFound, Unauthenticated, quoted
from engine.files import make_folder, read_toml, replacing
from engine.reloaded import Reloaded
from engine.values import filled

PREFIX = "spr_"  # by which scanners for secrets find one
LONGEST = 256  # characters of what a caller sends
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_HASH = re.compile(r"[0-9a-f]{64}")
_REMEDY = "get one from whoever runs the service (`spr access token`)"
_MAKE = "make it with `spr access token NAME --scope search`"


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A token as the file has it. Times have a zone."""

    name: str
    scopes: tuple[Scope, ...]
    sha256: str
    created: datetime
    expires: datetime | None = None

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            message = "write up to 64 letters, digits and . _ @ -, a letter or digit first"
            raise InvalidInput(f"token name {quoted(self.name)} cannot be used; {message}.")
        if not self.scopes:
            raise InvalidInput(f"token {self.name} has no scopes; name search, write or admin.")
        if not _HASH.fullmatch(self.sha256):
            raise InvalidInput(f"token {self.name}: sha256 is not 64 hexadecimal digits.")
        for time in (self.created, self.expires):
            if time is not None and time.tzinfo is None:
                raise InvalidInput(f"token {self.name}: {time} has no zone; write Z at its end.")


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    token: tuple[Token, ...]


class Tokens:
    """The tokens of a file, as they are now."""

    def __init__(self, path: Path) -> None:
        self._kept = Reloaded([path], lambda: [(bytes.fromhex(one.sha256), one) for one in read(path)])

    def of(self, presented: str) -> Token:
        """Return the token of a caller that sent `presented`; Unauthenticated if it is none that is valid."""
        digest = hashlib.sha256(presented[:LONGEST].encode(errors="replace")).digest()
        # One that was made a moment ago is valid at once.
        found = _found(self._kept.value, digest) or _found(self._kept.fresh(), digest)
        if found is None:
            raise Unauthenticated(f"the token is not known here; {_REMEDY}", "TOKEN_UNKNOWN")
        if found.expires is not None and found.expires <= datetime.now(UTC):
            message = f"the token {found.name} expired on {found.expires:%Y-%m-%d %H:%M} UTC"
            raise Unauthenticated(f"{message}; {_REMEDY}", "TOKEN_EXPIRED")
        return found


def _found(known: "Sequence[tuple[bytes, Token]]", digest: bytes) -> Token | None:
    found = None
    # All of them, in constant time each: the time tells nothing of any hash.
    for sha256, token in known:
        if hmac.compare_digest(sha256, digest):
            found = token
    return found


def missing() -> Unauthenticated:
    """Return the error of a call without a token."""
    message = "the call carries no token; set SPR_TOKEN_FILE to the file of yours, or SPR_TOKEN"
    return Unauthenticated(message, "TOKEN_MISSING")


def read(path: Path) -> tuple[Token, ...]:
    """Return the tokens of a file; InvalidInput names what is wrong in it."""
    try:
        values = read_toml(path)
    except FileNotFoundError:
        raise InvalidInput(f"{path} does not exist; {_MAKE}") from None
    if not values:
        raise InvalidInput(f"{path} holds no token; {_MAKE}")
    return filled(_File, values, str(path)).token


def add(path: Path, name: str, scopes: Sequence[Scope], expires: datetime | None, now: datetime) -> str:
    """Make a token, add its hash to the file, and return it: nobody else will know it."""
    secret = PREFIX + secrets.token_urlsafe(32)
    token = Token(
        name=name,
        scopes=tuple(scopes),
        sha256=hashlib.sha256(secret.encode()).hexdigest(),
        created=now,
        expires=expires,
    )
    with _changing(path) as tokens:
        tokens.append(token)
    return secret


def revoke(path: Path, name: str, keep_newest: bool) -> list[Token]:
    """Remove the tokens of a name from the file, all or all but the newest; return them. NotFound if none."""
    with _changing(path) as tokens:
        named = sorted((one for one in tokens if one.name == name), key=lambda one: one.created)
        if not named:
            there = ", ".join(sorted({one.name for one in tokens})) or "none"
            raise NotFound(f"{path} has no token {quoted(name)}; there are: {there}.", "TOKEN_NOT_FOUND")
        gone = named[:-1] if keep_newest else named
        tokens[:] = [one for one in tokens if one not in gone]
    return gone


@contextlib.contextmanager
def _changing(path: Path) -> Iterator[list[Token]]:
    """Yield the tokens of a file to be changed, and write them; one process at a time."""
    make_folder(path.parent)
    lock = os.open(path.parent, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        tokens = list(read(path)) if path.exists() else []
        yield tokens
        with replacing(path) as partial:
            partial.write_text(_text(tokens), encoding="utf-8")
    finally:
        os.close(lock)


def _text(tokens: Sequence[Token]) -> str:
    lines = ["# Written by `spr access`, which keeps no comments. Hashes: the tokens themselves are nowhere."]
    lines += [] if tokens else ["token = []"]
    for one in tokens:
        scopes = ", ".join(f'"{scope}"' for scope in one.scopes)
        lines += ["", "[[token]]", f'name = "{one.name}"', f"scopes = [{scopes}]", f'sha256 = "{one.sha256}"']
        lines += [f"created = {_time(one.created)}"]
        lines += [f"expires = {_time(one.expires)}"] if one.expires else []
    return "\n".join(lines) + "\n"


def _time(time: datetime) -> str:
    return time.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
