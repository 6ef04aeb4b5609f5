"""Calls in processes of their own, for what ends by a signal.

The processes are forked from one that has loaded what trainings need: a kill is real, and costs no seconds of
importing torch.
"""

import multiprocessing
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

_CONTEXT = multiprocessing.get_context("forkserver")
# torch loads its compiler with the first optimiser.
_CONTEXT.set_forkserver_preload(
    ["tests.apart", "trainer.projector.training", "trainer.ranker.training", "torch._dynamo"]
)


Call = tuple[Callable[..., object], tuple[Any, ...], dict[str, Any]]


def call(log: Path, function: Callable[..., object], *arguments: Any, **named: Any) -> int:
    """Call an importable function in another process; return its exit code, minus the signal that ended it.

    log: the file that gets what it writes to stderr. It computes with as many threads as this process.
    """
    values = (log, torch.get_num_threads(), (function, arguments, named))
    process = _CONTEXT.Process(target=_call, args=values)
    process.start()
    process.join(300)
    assert process.exitcode is not None
    return process.exitcode


def _call(log: Path, threads: int, wanted: Call) -> None:
    with log.open("wb") as file:
        os.dup2(file.fileno(), 2)
    torch.set_num_threads(threads)
    function, arguments, named = wanted
    function(*arguments, **named)
