"""Which parts there are, in the order they run, and a run of them, one process after another."""

import contextlib
import importlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from bench.results import FORMAT, Outcome, Setup, machine, to_json
from engine.errors import SprError

# name: what it measures; what matters most first, since time may end before the last.
PARTS = {
    "suite": "tests that need a GPU",
    "memory": "the device's memory",
    "index": "top-200 by a flat fp16 index in its memory",
    "ranking": "ranking against contexts in its memory",
    "encoders": "encoding sentences and pictures",
    "films": "films to features",
}


def run(
    device: str,
    sizes: str,
    cache: Path,
    threads: int,
    seconds: float,
    tell: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Run all parts and return the report; what does not end within `seconds` of the whole is told.

    No part has more than half of them: the tests may hang, and the figures do not depend on them.
    tell: called with each part's name when it begins.
    """
    ends = time.monotonic() + seconds
    stages: dict[str, Mapping[str, Any]] = {}
    for name in PARTS:
        tell(name)
        command = [sys.executable, "-m", "bench.gpu", "--part", name, "--device", device]
        command += ["--sizes", sizes, "--cache", str(cache), "--threads", str(threads)]
        began = time.monotonic()
        found = child(command, threads, min(ends - began, seconds / 2))
        stages[name] = {"threads": threads, "seconds": round(time.monotonic() - began, 1), **found}
    return {
        "format": FORMAT,
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "sizes": sizes,
        "machine": {**machine(), "gpu": _card(torch.device(device))},
        "stages": stages,
    }


def run_here(name: str, setup: Setup, device: torch.device) -> dict[str, Any]:
    """Run one part in this process; where something is not there the outcome is a note that says so."""
    try:
        outcome: Outcome = importlib.import_module(f"bench.gpu.{name}").run(setup, device)
    except (SprError, ModuleNotFoundError) as error:
        return _nothing(str(error))
    return to_json(outcome)


def child(command: list[str], threads: int, seconds: float) -> dict[str, Any]:
    """Return what a part's process prints last, or why there is nothing; end it with all that it started."""
    if seconds <= 0:
        return _nothing("the time was over")
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    # A session of its own: processes that it started, and tests, would outlive it and keep the device.
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=environment, start_new_session=True
    ) as process:
        try:
            said, _ = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            return _nothing(f"{seconds:.0f} s were not enough")
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    lines = said.strip().splitlines()
    if process.returncode or not lines:
        return _nothing(f"the process ended with exit code {process.returncode}; its messages are on stderr")
    answer: dict[str, Any] = json.loads(lines[-1])
    return answer


def _nothing(reason: str) -> dict[str, Any]:
    return {"rows": [], "notes": [f"Not run: {reason.removesuffix('.')}."]}


def _card(device: torch.device) -> str:
    if device.type != "cuda":
        return "no GPU"
    about = torch.cuda.get_device_properties(device)
    return f"{about.name}, {about.total_memory / 2**30:.0f} GiB"
