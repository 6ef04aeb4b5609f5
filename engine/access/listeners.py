"""Which addresses may be listened at without access control: those that only this machine reaches."""

import ipaddress
from typing import TYPE_CHECKING

from engine.errors import InvalidInput

if TYPE_CHECKING:
    from engine.config import Topology


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens at a host: a name, or an IPv4 or [IPv6] address."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost" or host.startswith("unix")


def check(topology: "Topology", listens: list[str]) -> None:
    """Raise InvalidInput unless a topology's processes may listen at these addresses."""
    if topology.access is None and not topology.insecure:
        for listen in listens:
            refuse_open(listen)


def refuse_open(listen: str) -> None:
    """Raise InvalidInput for an address that other machines reach."""
    if not is_loopback(listen.rpartition(":")[0]):
        raise InvalidInput(
            f"{listen} would be open to other machines without encryption and tokens; make them with `spr "
            "access certificates` and write [access] into the topology, or listen at 127.0.0.1, or say "
            "`spr serve --insecure`",
            "INSECURE_LISTENER",
        )
