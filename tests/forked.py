"""`spr serve` whose processes are forked from one that has loaded torch, FAISS and gRPC.

They are as real as started ones, and cost no seconds of importing: each has the pipes, the environment, the
session and the exit code that `subprocess` would give it. What tests the
start itself starts it as a user does.
"""

import atexit
import functools
import gc
import inspect
import os
import runpy
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from contextlib import closing
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Self
from unittest.mock import patch

from engine import serving
from tests import apart, fork_server

_Started = subprocess.Popen


def _serve(*arguments: str) -> None:
    apart.spr("serve", *arguments)


def _serve_part(role: str, serve: Callable[..., None], *arguments: str) -> None:
    sys.exit(serving.main(role, serve, arguments))


def part(log: Path, role: str, serve: Callable[..., None], *arguments: str) -> "Supervisor":
    """Start one process of a service as `python -m` does, by its `serve`; its stderr goes to `log`."""
    return Supervisor(log, *arguments, main=functools.partial(_serve_part, role, serve))


def spr(log: Path, *arguments: object) -> "Supervisor":
    """Start an `spr` command; its stderr goes to `log`."""
    return Supervisor(log, *map(str, arguments), main=apart.spr)


class Supervisor:
    """A forked `spr serve`, used like the `subprocess.Popen` of a started one. log: where its stderr goes.

    main: what it runs instead, with these arguments.
    """

    def __init__(self, log: Path, *arguments: str, main: Callable[..., object] = _serve) -> None:
        reader, writer = fork_server.CONTEXT.Pipe(duplex=False)
        with closing(reader), closing(writer):
            self._process = apart.start(log, _supervise, writer, dict(os.environ), main, arguments)
            self.stdout = os.fdopen(os.dup(reader.fileno()), encoding="utf-8")
        assert self._process.pid is not None
        self.pid = self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stdout.close()
        self._process.join()

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float) -> int:
        self._process.join(timeout)
        assert self._process.exitcode is not None, "it did not end in time"
        return self._process.exitcode

    def send_signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def kill(self) -> None:
        self._process.kill()

    def terminate(self) -> None:
        self._process.terminate()


class _Forked(subprocess.Popen[str]):
    """Runs `python -m MODULE ...` in a fork of this process."""

    def _execute_child(self, *given: Any) -> None:
        about = inspect.signature(_Started._execute_child).bind(self, *given).arguments  # type: ignore[attr-defined]
        ours = [about[end] for end in ("p2cread", "c2pwrite", "errwrite")]
        self.pid = os.fork()
        if not self.pid:
            command = about["args"]
            _end(lambda: _become(command[2], command[3:], ours, about["env"]))
        self._child_created = True
        for end in ours:
            os.close(end)


def _supervise(
    stdout: Connection,
    environment: Mapping[str, str],
    main: Callable[..., object],
    arguments: tuple[str, ...],
) -> None:
    """Be a supervisor in a process of the fork server."""
    os.dup2(stdout.fileno(), 1)
    stdout.close()
    _environ(environment)
    with patch.object(subprocess, "Popen", _Forked):
        _end(lambda: main(*arguments))


def _become(module: str, arguments: list[str], ends: list[int], environment: Mapping[str, str]) -> None:
    """Be another program, with nothing of what this process was."""
    gc.freeze()
    os.setsid()
    for number, end in enumerate(ends):
        os.dup2(end, number)
    kept = resource_tracker._resource_tracker._fd or 2  # type: ignore[attr-defined]
    os.closerange(3, kept)
    os.closerange(max(3, kept + 1), os.sysconf("SC_OPEN_MAX"))
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    subprocess.Popen = _Started  # type: ignore[misc]
    atexit._clear()
    _environ(environment)
    sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w")
    # Fifteen characters of it are shown as the process's name: Service.pid_now.
    Path("/proc/self/comm").write_text(arguments[arguments.index("--name") + 1])
    sys.argv = [module, *arguments]
    sys.modules.pop(f"{module}.__main__", None)
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _environ(environment: Mapping[str, str]) -> None:
    os.environ.clear()
    os.environ.update(environment)


def _end(program: Callable[[], object]) -> None:
    """Run it, and end this process as the interpreter does."""
    code: Any = 0
    try:
        program()
    except SystemExit as ended:
        code = ended.code
    except BaseException:
        traceback.print_exc()
        code = 1
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code or 0)
