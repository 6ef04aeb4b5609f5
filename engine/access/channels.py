"""Channels between the processes of a service, with mutual TLS."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio

from engine.reloaded import Reloaded

if TYPE_CHECKING:
    from engine.access.certificates import Certificates

Connect = Callable[[str, Sequence[tuple[str, Any]]], grpc.aio.Channel]


def plain(target: str, options: Sequence[tuple[str, Any]]) -> grpc.aio.Channel:
    """Return a channel without encryption."""
    return grpc.aio.insecure_channel(target, options)


class FleetChannel(grpc.aio.Channel):
    """A channel to a process of the service that follows changes of the certificates.

    Calls that begin after a change take a new channel; the old one closes when its last call has ended.
    name: the DNS name that the other's certificate must have.
    """

    def __init__(
        self, target: str, options: Sequence[tuple[str, Any]], of: "Reloaded[Certificates]", name: str
    ) -> None:
        self._target, self._options = target, [*options, ("grpc.ssl_target_name_override", name)]
        self._kept, self._with = of, of.value
        self._channel = self._opened()

    def now(self) -> grpc.aio.Channel:
        """Return the channel with the certificates of now."""
        if (found := self._kept.value) is not self._with:
            self._with = found
            # Whoever calls on the old one holds it until the end of the call.
            self._channel = self._opened()
        return self._channel

    def unary_unary(self, *args: Any, **kwargs: Any) -> Any:
        """Return a callable; see grpc.aio.Channel."""
        return _Callable(self, lambda channel: channel.unary_unary(*args, **kwargs))

    def unary_stream(self, *args: Any, **kwargs: Any) -> Any:
        """Return a callable; see grpc.aio.Channel."""
        return _Callable(self, lambda channel: channel.unary_stream(*args, **kwargs))

    def stream_unary(self, *args: Any, **kwargs: Any) -> Any:
        """Return a callable; see grpc.aio.Channel."""
        return _Callable(self, lambda channel: channel.stream_unary(*args, **kwargs))

    def stream_stream(self, *args: Any, **kwargs: Any) -> Any:
        """Return a callable; see grpc.aio.Channel."""
        return _Callable(self, lambda channel: channel.stream_stream(*args, **kwargs))

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        """Return the connectivity of the channel of now."""
        return self.now().get_state(try_to_connect)

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        """Wait for a change of the channel of now."""
        await self.now().wait_for_state_change(last_observed_state)

    async def channel_ready(self) -> None:
        """Wait until the channel of now is connected."""
        await self.now().channel_ready()

    async def close(self, grace: float | None = None) -> None:
        """Close the channel of now."""
        await self._channel.close(grace)

    async def __aenter__(self) -> "FleetChannel":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def _opened(self) -> grpc.aio.Channel:
        return grpc.aio.secure_channel(self._target, self._with.channel_credentials(), self._options)


class _Callable:
    """A method on whatever channel is the one of now."""

    def __init__(self, owner: FleetChannel, make: Callable[[grpc.aio.Channel], Any]) -> None:
        self._owner, self._make = owner, make
        self._channel = owner.now()
        self._call = make(self._channel)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        channel = self._owner.now()
        if channel is not self._channel:
            self._channel, self._call = channel, self._make(channel)
        return self._call(*args, **kwargs)
