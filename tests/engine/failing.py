"""Failed calls as gRPC raises them."""

import grpc
import grpc.aio

from engine import faults
from engine.errors import SprError


def failure(code: grpc.StatusCode, reason: str = "") -> grpc.aio.AioRpcError:
    """Return what gRPC raises for a status; reason: of one that our own worker gave."""
    metadata = grpc.aio.Metadata()
    if reason:
        error = SprError(code.name, reason)
        error.status = code
        metadata = grpc.aio.Metadata(*faults.grpc_status(error, "").trailing_metadata)
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), metadata, code.name)
