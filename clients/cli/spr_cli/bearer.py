"""The operator's token, on every call of a channel."""

from collections.abc import Callable
from typing import Any

import grpc

from spr_client.access import Access


class Bearer(grpc.UnaryUnaryClientInterceptor, grpc.UnaryStreamClientInterceptor):
    """Adds what `access` shows to the metadata of each call."""

    def __init__(self, access: Access) -> None:
        self._access = access

    def intercept_unary_unary(self, go_on: Callable[[Any, Any], Any], details: Any, request: Any) -> Any:
        """Return the call with the token."""
        metadata = (*(details.metadata or ()), *(self._access.metadata or ()))
        return go_on(_Details(details, metadata), request)

    def intercept_unary_stream(self, go_on: Callable[[Any, Any], Any], details: Any, request: Any) -> Any:
        """Return the call with the token."""
        return self.intercept_unary_unary(go_on, details, request)


class _Details(grpc.ClientCallDetails):
    def __init__(self, given: Any, metadata: Any) -> None:
        self.method, self.timeout, self.metadata = given.method, given.timeout, metadata
        self.credentials, self.wait_for_ready = given.credentials, given.wait_for_ready
        self.compression = given.compression
