"""Calls in processes of their own, for what ends by a signal.

The processes are forked from one that has loaded what trainings, library and ranker need: a kill is real, and
costs no seconds of importing torch.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import torch

from tests.fork_server import CONTEXT

Call = tuple[Callable[..., object], tuple[Any, ...], dict[str, Any]]


def start(log: Path, function: Callable[..., object], *arguments: Any, **named: Any) -> BaseProcess:
    """Call an importable function in another process, the first of its own group.

    log: the file that gets what it writes to stderr. It computes with as many threads as this process.
    """
    values = (log, torch.get_num_threads(), (function, arguments, named))
    process = CONTEXT.Process(target=_call, args=values)
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


def serving(
    home: Path, main: Callable[[list[str]], int], *arguments: str
) -> tuple[BaseProcess, dict[str, Any]]:
    """Start the main function of what serves; return its process and the first line that it prints, as JSON.

    home: the directory for what it writes to stdout and stderr.
    """
    out, log = home / "stdout", home / "stderr"
    out.unlink(missing_ok=True)
    process = start(log, _serve, out, main, arguments)
    while True:
        alive = process.is_alive()
        lines = out.read_text() if out.is_file() else ""
        if lines.endswith("\n"):
            return process, json.loads(lines.splitlines()[0])
        assert alive, log.read_text()
        time.sleep(0.01)


def spr(*arguments: str) -> None:
    """Be the `spr` command."""
    from spr_cli.main import main

    sys.argv = ["spr", *arguments]
    main()


def _serve(out: Path, main: Callable[[list[str]], int], arguments: tuple[str, ...]) -> None:
    with out.open("wb") as file:
        os.dup2(file.fileno(), 1)
    sys.exit(main([*arguments]))


def _call(log: Path, threads: int, wanted: Call) -> None:
    os.setsid()
    with log.open("wb") as file:
        os.dup2(file.fileno(), 2)
    torch.set_num_threads(threads)
    function, arguments, named = wanted
    function(*arguments, **named)
