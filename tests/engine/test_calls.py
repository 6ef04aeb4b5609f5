import asyncio
import ctypes
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import grpc.aio
import pytest

from engine import calls

CALLS = 400


class _InUse(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in "arena ordblks smblks hblks hblkhd usmblks".split()]
    _fields_ += [(name, ctypes.c_size_t) for name in "fsmblks uordblks fordblks keepcost".split()]


def _bytes_in_use() -> int:
    """Return what is allocated outside of Python's own pools."""
    try:
        told = ctypes.CDLL(None).mallinfo2
    except AttributeError:
        pytest.skip("only glibc from 2.33 on says what is allocated")
    told.restype = _InUse
    return int(told().uordblks)


def _lost(wait: Callable[[Any], Awaitable[Any]]) -> float:
    """Return the bytes that stay of a call for which `wait` is cancelled."""

    async def abandon(method: Any, count: int) -> None:
        waiting = [asyncio.ensure_future(wait(method(b"", timeout=60))) for _ in range(count)]
        await asyncio.sleep(0)
        for one in waiting:
            one.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        # The call's own task ends when gRPC has ended the call.
        while len(asyncio.all_tasks()) > 1:
            await asyncio.sleep(0)

    async def run(address: str) -> float:
        async with grpc.aio.insecure_channel(address) as channel:
            method: Any = channel.unary_unary("/a/B")
            await abandon(method, CALLS)
            before = _bytes_in_use()
            await abandon(method, CALLS)
            return (_bytes_in_use() - before) / CALLS

    with socket.create_server(("127.0.0.1", 0)) as silent:
        return asyncio.run(run(f"127.0.0.1:{silent.getsockname()[1]}"))


def test_a_call_that_nobody_waits_for_leaves_nothing_behind() -> None:
    assert _lost(calls.answer) < 100
