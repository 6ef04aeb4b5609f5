"""Which of the project's ports an address is, for those who asked the wrong one."""

from typing import Any

from engine.printable import printable

_ROLES = {
    "spr.v1.SearchService": "the search port",
    "spr.v1.AdminService": "the admin port",
    "spr.internal.v1.IndexShardService": "an index worker's port",
    "spr.internal.v1.RankerService": "a ranker worker's port",
}


def wrong_port(address: str, what: str, port: str, usual: str) -> str:
    """Return a sentence for an address that does not know the call.

    what, port: what was asked for and the name of the port that answers it. usual: its usual address.
    """
    where = f"{what} are answered by the {port} that `spr serve` names, {usual} unless told otherwise."
    return f"{printable(address)} is {_role(address)}; {where}"


def _role(address: str) -> str:
    """Ask by reflection, which every process of a service answers."""
    import grpc
    from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

    request = reflection_pb2.ServerReflectionRequest(list_services="")
    try:
        with grpc.insecure_channel(address) as channel:
            stub: Any = reflection_pb2_grpc.ServerReflectionStub(channel)
            answer = next(stub.ServerReflectionInfo(iter([request]), timeout=2.0))
    except (grpc.RpcError, StopIteration):
        return "no port of SPR"
    names = {service.name for service in answer.list_services_response.service}
    known = [role for name, role in _ROLES.items() if name in names]
    return known[0] if known else "no port of SPR"
