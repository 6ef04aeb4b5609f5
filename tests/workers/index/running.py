"""An index worker as a process."""

import json
import signal
from pathlib import Path
from typing import Any

from tests.forked import Supervisor, part
from workers.index.__main__ import serve

TOPOLOGY = """
collection = "collection"
[[index]]
shard = 0
listen = "127.0.0.1:0"
device = "cpu"
[[index]]
shard = 1
listen = "127.0.0.1:0"
device = "cpu"
[[index]]
shard = 7
listen = "127.0.0.1:0"
[[ranker]]
listen = "127.0.0.1:0"
"""


def start(folder: Path, name: str, more: str = "") -> tuple[Supervisor, dict[str, Any]]:
    """Start a worker of the topology, which `more` adds a line to; return it and its ready line."""
    (folder / "topology.toml").write_text(f"{more}\n{TOPOLOGY}")
    options = ("--config", str(folder / "topology.toml"), "--name", name)
    process = part(folder / f"{name}.jsonl", "index", serve, *options)
    return process, json.loads(process.stdout.readline())


def stop(process: Supervisor) -> int:
    process.send_signal(signal.SIGTERM)
    code = process.wait(timeout=300)
    process.stdout.close()
    return code
