"""A ranker worker as a process."""

import json
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
[[ranker]]
listen = "127.0.0.1:0"
threads = 1
device = "cpu"
text_precision = "float32"
"""


def start(folder: Path) -> tuple["subprocess.Popen[str]", dict[str, Any]]:
    (folder / "topology.toml").write_text(TOPOLOGY)
    command = [sys.executable, "-m", "workers.ranker", "--config", str(folder / "topology.toml")]
    log = (folder / "log.jsonl").open("w")
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
    log.close()
    assert process.stdout is not None
    return process, json.loads(process.stdout.readline())


def stop(process: "subprocess.Popen[str]") -> int:
    process.send_signal(signal.SIGTERM)
    code = process.wait(timeout=300)
    assert process.stdout is not None
    process.stdout.close()
    return code
