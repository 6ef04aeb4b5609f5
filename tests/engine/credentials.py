"""Certificates and tokens for tests: made once, used by servers and callers in this process."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import grpc

from engine.access import making, settings, tokens
from engine.access.rules import SCOPES, Scope
from engine.access.settings import AccessConfig
from engine.values import filled


@dataclass(frozen=True)
class Credentials:
    """A folder that `spr access` filled, with a certificate for the caller `web`. tokens: by their kind."""

    folder: Path
    tokens: dict[str, str]

    @property
    def authority(self) -> Path:
        return self.folder / settings.AUTHORITY

    def config(self, callers: Literal["none", "certificate"] = "none") -> AccessConfig:
        values = {**settings.of_folder(self.folder), "callers": callers}
        return filled(AccessConfig, values, "a test")

    def add(self, name: str, *scopes: Scope, hours: float | None = None) -> str:
        now = datetime.now(UTC)
        expires = None if hours is None else now + timedelta(hours=hours)
        return tokens.add(self.folder / settings.TOKENS, name, scopes, expires, now)

    def channel(self, name: str = "") -> grpc.ChannelCredentials:
        """Return what a caller connects with: the certificate of `name`, or none of its own."""
        if not name:
            return grpc.ssl_channel_credentials(self.authority.read_bytes())
        key, certificate = self.folder / f"{name}-key.pem", self.folder / f"{name}.pem"
        pem = (self.authority.read_bytes(), key.read_bytes(), certificate.read_bytes())
        return grpc.ssl_channel_credentials(*pem)


def make(folder: Path) -> Credentials:
    making.make(folder, [], 30, ["web"])
    made = Credentials(folder, {})
    for scope in SCOPES:
        made.tokens[scope] = made.add(f"{scope}-only", scope)
    made.tokens["expired"] = made.add("late", *SCOPES, hours=-1)
    made.tokens["unknown"] = "spr_nobody-knows-this-one"
    return made


def bearer(token: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {token}"),) if token else ()
