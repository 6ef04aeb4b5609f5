"""The control pipe from a supervisor to its child: the topology, then status lines; end of file means stop.

A child that is started with `--config -` reads its topology as the first line of stdin, so all processes run
with the same one across restarts, even when the file changes. The kernel closes stdin when the supervisor
dies, also by SIGKILL.
"""

import json
import os
import signal
import threading
from collections.abc import Iterator

from engine import config

STDIN = "-"
# Whether a supervisor started this process; and why other processes are down, by target, as it reports.
supervised = False
down: dict[str, str] = {}


def receive() -> config.Topology:
    """Return the topology that the supervisor sends; a thread follows its status lines from then on."""
    global supervised
    lines = _lines()
    first = next(lines, "")
    if not first:
        raise KeyboardInterrupt  # the supervisor died first
    topology = config.from_json(first)
    supervised = True
    threading.Thread(target=_follow, args=(lines,), name="control-pipe", daemon=True).start()
    return topology


def _follow(lines: Iterator[str]) -> None:
    for line in lines:
        now = dict(json.loads(line))["down"]
        for target in set(down) - set(now):
            del down[target]
        down.update(now)
    # SIGTERM would ask a coordinator to hand over to a successor, which nobody is left to start.
    os.kill(os.getpid(), signal.SIGINT)


def _lines() -> Iterator[str]:
    # A thread that blocks in sys.stdin holds its lock, which blocks the interpreter at exit.
    rest = b""
    while chunk := os.read(0, 1 << 16):
        *whole, rest = (rest + chunk).split(b"\n")
        yield from (line.decode() for line in whole)
