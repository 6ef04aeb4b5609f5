"""An index worker as a process."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

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


def start(folder: Path, name: str, more: str = "") -> tuple["subprocess.Popen[str]", dict[str, Any]]:
    """Start a worker of the topology, which `more` adds a line to; return it and its ready line."""
    (folder / "topology.toml").write_text(f"{more}\n{TOPOLOGY}")
    command = [
        sys.executable,
        "-m",
        "workers.index",
        "--config",
        str(folder / "topology.toml"),
        "--name",
        name,
    ]
    log = (folder / f"{name}.jsonl").open("w")
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env={**os.environ})
    log.close()
    assert process.stdout is not None
    return process, json.loads(process.stdout.readline())


def stop(process: "subprocess.Popen[str]") -> int:
    process.send_signal(signal.SIGTERM)
    code = process.wait(timeout=300)
    assert process.stdout is not None
    process.stdout.close()
    return code
