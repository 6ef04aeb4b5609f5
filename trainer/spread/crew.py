"""Ray Core: actors of one class on the nodes of a cluster, one a node or GPU.

The unit is a node because a worker uses all of its cores, as a run on one machine does.
"""

import contextlib
import os
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import grpc

from engine.cores import use_at_most
from engine.errors import InvalidInput, SprError, Unavailable

INSTALL = "pip install 'spr-engine[ray]'"
# Bytes of shared memory for objects, the least that Ray takes: none is ever put there.
OBJECTS = 80 << 20
# How often an actor is started again on a node that is alive.
RESTARTS = 5
# Seconds in which a cluster's head answers.
REACHED = 10
# Where Ray keeps the token that clusters may ask for, and what any cluster answers those it does not refuse.
TOKEN = "~/.ray/auth_token"
ASKED = "/ray.rpc.NodeInfoGcsService/CheckAlive"
_Worker = TypeVar("_Worker")


class Died(Exception):
    """An actor, or its node, is gone."""


@dataclass(slots=True)
class Member:
    """An actor. node: its id. number: its place among all."""

    number: int
    node: str
    resources: dict[str, float]
    actor: Any = None
    restarts: int = 0
    call: Any = field(default=None, repr=False)


def address_of(engine: str | None) -> str | None:
    """Return the address that `--engine` names, "local" for a Ray of one's own; None for no engine."""
    if engine is None or engine == "local":
        return None
    name, _, address = engine.partition(":")
    if name != "ray":
        raise InvalidInput(
            f"--engine {engine} is none: write local, ray, or ray:HOST:PORT of a cluster's head"
        )
    return address or "local"


class Crew:
    """Actors of a class, made with the same arguments. Use as a context manager."""

    def __init__(self, address: str, worker: type[_Worker], *arguments: Any, gpus: bool = False) -> None:
        """address: HOST:PORT of a cluster's head, auto for the one this machine is in, local for an own one.

        gpus: an actor a GPU where a node has some. Unavailable where Ray is not installed or not reached.
        """
        _prepare(address)
        try:
            import ray
        except ModuleNotFoundError:
            raise Unavailable(f"--engine ray needs Ray, which is not installed: {INSTALL}") from None
        self._ray, self._worker, self._arguments = ray, worker, arguments
        self._address, self._gpus = address, gpus
        self.members: list[Member] = []
        self._open = contextlib.ExitStack()

    def __enter__(self) -> "Crew":
        try:
            return self._enter()
        except BaseException:
            self._open.close()
            raise

    def _enter(self) -> "Crew":
        # Ray prints there what it thinks of deaths, between the lines of the command.
        nowhere = self._open.enter_context(open(os.devnull, "w", encoding="utf-8"))
        self._open.enter_context(contextlib.redirect_stdout(nowhere))
        self._open.callback(self._ray.shutdown)
        own = {"object_store_memory": OBJECTS, "include_dashboard": False} if self._address == "local" else {}
        try:
            # Ray itself would try for minutes.
            _check_reached(self._address)
            self._ray.init(self._address, log_to_driver=False, logging_level="ERROR", **own)
        except (ValueError, RuntimeError, OSError, self._ray.exceptions.RayError) as error:
            raise Unavailable(_not_begun(self._address, error)) from error
        for node in sorted(self._nodes(), key=lambda node: str(node["NodeID"])):
            for resources in _shares(node["Resources"], self._gpus):
                self.members.append(Member(len(self.members), node["NodeID"], resources))
        if not self.members:
            raise Unavailable(f"the Ray cluster at {self._address} has no node with a free core")
        for member in self.members:
            self._start(member)
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(Exception):
            for member in self.members:
                self._ray.kill(member.actor)
        self._open.close()

    def call(self, member: Member, method: str, *arguments: Any) -> None:
        """Begin a call of a member, which has one at a time."""
        member.call = getattr(member.actor, method).remote(*arguments)

    def calling(self) -> list[Member]:
        """Return the members that have a call which was not taken."""
        return [member for member in self.members if member.call is not None]

    def ended(self, timeout: float | None = None) -> Iterator[Member]:
        """Wait for a call's end, at most so many seconds; yield the members whose calls ended."""
        calls = {member.call: member for member in self.calling()}
        if calls:
            ready, _ = self._ray.wait(list(calls), num_returns=1, timeout=timeout, fetch_local=False)
            yield from (calls[call] for call in ready)

    def take(self, member: Member) -> Any:
        """Return what a member's call gave; Died for one that is gone; what the worker raised."""
        call, member.call = member.call, None
        try:
            return self._ray.get(call)
        except self._ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, SprError):
                raise error.cause from None
            raise
        except self._ray.exceptions.RayError as error:
            raise Died(str(error)) from error

    def leave(self, member: Member) -> None:
        """End a member, whatever it does; it holds nothing soon after."""
        self.members.remove(member)
        member.call = None
        with contextlib.suppress(Exception):
            self._ray.kill(member.actor)

    def again(self, member: Member) -> bool:
        """Start a dead member anew; False where its node is gone, or it dies again and again."""
        with contextlib.suppress(Exception):
            # One that is only out of reach must not go on.
            self._ray.kill(member.actor)
        member.restarts += 1
        alive = any(node["NodeID"] == member.node for node in self._nodes())
        if not alive or member.restarts > RESTARTS:
            self.members.remove(member)
            return False
        self._start(member)
        return True

    def _nodes(self) -> list[dict[str, Any]]:
        return [node for node in self._ray.nodes() if node["Alive"]]

    def _start(self, member: Member) -> None:
        strategy = self._ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(
            member.node, soft=False
        )
        made = self._ray.remote(self._worker).options(scheduling_strategy=strategy, **member.resources)
        member.actor = made.remote(*self._arguments)
        # Its node may have more cores than Ray deals out here, to others or to the other GPUs' actors.
        member.actor.__ray_call__.remote(_share, int(member.resources["num_cpus"]))


def _prepare(address: str) -> None:
    """Set what Ray reads when it is imported."""
    # Nothing is told to others unasked.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # Ray shows its token to the cluster that it finds itself, and without this to none that it is told. One
    # that asks for none has workers without: those a driver with a token would refuse.
    if ":" in address and "RAY_AUTH_MODE" not in os.environ and _asks_for_token(address):
        os.environ["RAY_AUTH_MODE"] = "token"


def _asks_for_token(address: str) -> bool:
    """Tell whether a cluster refuses who shows no token; one that does not answer does not."""
    with grpc.insecure_channel(address) as channel:
        ask: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(ASKED)
        try:
            ask(b"", timeout=REACHED)
        except grpc.RpcError as error:
            return error.code() is grpc.StatusCode.UNAUTHENTICATED
    return False


def _share(_: object, count: int) -> None:
    use_at_most(count)


def _not_begun(address: str, error: Exception) -> str:
    if address == "local":
        why = " ".join(str(error).split())[:200]
        return f"Ray does not start on this machine ({why}); try again, or leave --engine ray away"
    return (
        f"no Ray cluster answers at {address}, or it asks for a token other than that of {TOKEN}; start one "
        "with `ray start --head`, copy its token, or leave the address away for this machine alone"
    )


def _check_reached(address: str) -> None:
    """Raise OSError, or ValueError, where nothing listens at HOST:PORT; a word is Ray's to understand."""
    host, colon, port = address.rpartition(":")
    if colon and "://" not in address:
        socket.create_connection((host.strip("[]"), int(port)), REACHED).close()


def _shares(resources: dict[str, float], gpus: bool) -> Sequence[dict[str, float]]:
    """Return what each actor of a node takes of it: all, or with GPUs one each."""
    cores, cards = int(resources.get("CPU", 0)), int(resources.get("GPU", 0)) if gpus else 0
    if cards:
        return [{"num_cpus": cores // cards, "num_gpus": 1}] * cards
    return [{"num_cpus": cores}] if cores else []
