"""The pipe from a supervisor to a process of its: the topology, then notes; its end means stop.

A process that is started with `--config -` reads its topology as the first line of stdin, so that all
processes have the same one for all their lives, whatever becomes of a file. stdin closes when the supervisor
is gone, however it went.
"""

import json
import os
import signal
import threading
from collections.abc import Iterator

from engine import config

STDIN = "-"
# Whether a supervisor has started this process, and why it says that others are down, by target.
supervised = False
down: dict[str, str] = {}


def receive() -> config.Topology:
    """Return the topology that the supervisor sends; then heed its notes until it is gone."""
    global supervised
    lines = _lines()
    first = next(lines, "")
    if not first:
        raise KeyboardInterrupt  # gone already
    topology = config.from_json(first)
    supervised = True
    threading.Thread(target=_heed, args=(lines,), name="lifeline", daemon=True).start()
    return topology


def _heed(lines: Iterator[str]) -> None:
    for line in lines:
        now = dict(json.loads(line))["down"]
        for target in set(down) - set(now):
            del down[target]
        down.update(now)
    # SIGTERM asks a coordinator to hand over to a successor; now there is nobody to start one.
    os.kill(os.getpid(), signal.SIGINT)


def _lines() -> Iterator[str]:
    # Not through sys.stdin: a thread that waits in it holds its lock at the end of the process.
    rest = b""
    while chunk := os.read(0, 1 << 16):
        *whole, rest = (rest + chunk).split(b"\n")
        yield from (line.decode() for line in whole)
