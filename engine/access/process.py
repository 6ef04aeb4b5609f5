"""The access control of a process: certificates and tokens, which follow their files."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import grpc.aio

from engine.access import certificates, tokens
from engine.access.channels import FleetChannel
from engine.access.guard import CallerGuard, Door, FleetGuard
from engine.access.settings import AccessConfig


class Access:
    """Opens the doors of a process's servers and its channels; InvalidInput where a file cannot be used."""

    def __init__(self, settings: AccessConfig) -> None:
        self._settings, self._certificates = settings, certificates.kept(settings)

    def for_callers(self) -> Door:
        """Return the door of a port for callers; the tokens are read for it."""
        ask = self._settings.callers == "certificate"
        guard = CallerGuard(tokens.Tokens(self._settings.tokens))
        return Door(guard, partial(certificates.server_credentials, self._certificates, ask))

    def for_fleet(self) -> Door:
        """Return the door of a worker's port."""
        guard = FleetGuard(self._settings.name)
        return Door(guard, partial(certificates.server_credentials, self._certificates, True))

    def connect(self, target: str, options: Sequence[tuple[str, Any]]) -> grpc.aio.Channel:
        """Return a channel to another process of the service."""
        return FleetChannel(target, options, self._certificates, self._settings.name)
