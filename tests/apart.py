"""Calls in processes of their own, for what ends by a signal.

The processes are forked from one that has loaded what trainings need: a kill is real, and costs no seconds of
importing torch.
"""

import multiprocessing
import os
import sys
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import torch

_CONTEXT = multiprocessing.get_context("forkserver")
# torch loads its compiler with the first optimiser.
_CONTEXT.set_forkserver_preload(
    ["tests.apart", "trainer.projector.training", "trainer.ranker.training", "torch._dynamo"]
)

Call = tuple[Callable[..., object], tuple[Any, ...], dict[str, Any]]


def start(log: Path, function: Callable[..., object], *arguments: Any, **named: Any) -> BaseProcess:
    """Call an importable function in another process, the first of its own group.

    log: the file that gets what it writes to stderr. It computes with as many threads as this process.
    """
    values = (log, torch.get_num_threads(), (function, arguments, named))
    process = _CONTEXT.Process(target=_call, args=values)
    process.start()
    return process


def ended(process: BaseProcess) -> int:
    """Wait for the end; return the exit code, minus the signal where one ended it."""
    process.join(300)
    assert process.exitcode is not None
    return process.exitcode


def call(log: Path, function: Callable[..., object], *arguments: Any, **named: Any) -> int:
    """Start, and wait for the end."""
    return ended(start(log, function, *arguments, **named))


def spr(*arguments: str) -> None:
    """Be the `spr` command."""
    from spr_cli.main import main

    sys.argv = ["spr", *arguments]
    main()


def _call(log: Path, threads: int, wanted: Call) -> None:
    os.setsid()
    with log.open("wb") as file:
        os.dup2(file.fileno(), 2)
    torch.set_num_threads(threads)
    function, arguments, named = wanted
    function(*arguments, **named)
