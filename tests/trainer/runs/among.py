"""A training in several processes, as torchrun starts them, but forked from one that has loaded torch."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.service import free_ports
from tests import apart


def train_among(
    log: Path, count: int, train: Callable[..., object], *arguments: Any, **named: Any
) -> list[int]:
    """Call `train` in `count` processes that find one another; return their exit codes.

    log: a directory for what each writes to stderr.
    """
    log.mkdir(exist_ok=True)
    # One that no call is given in the meantime: its taker would be met in place of the first process.
    (port,) = free_ports(1)
    started = [
        apart.start(log / str(rank), _one, (rank, count, port), train, *arguments, **named)
        for rank in range(count)
    ]
    return [apart.ended(process) for process in started]


def _one(place: tuple[int, int, int], train: Callable[..., object], *arguments: Any, **named: Any) -> None:
    rank, count, port = map(str, place)
    os.environ.update(RANK=rank, LOCAL_RANK=rank, WORLD_SIZE=count, MASTER_ADDR="127.0.0.1", MASTER_PORT=port)
    train(*arguments, **named)
