"""One fork server serves several processes."""

import os
import subprocess
import sys
from pathlib import Path

from tests import fork_server

# Starts a process that uses the server of another, and prints which process that was forked from.
USES = """
import json, os, sys
from tests import fork_server
fork_server.use(json.loads(sys.argv[1]))
process = fork_server.CONTEXT.Process(target=print, args=("forked",))
process.start()
print(open(f"/proc/{process.pid}/stat").read().rpartition(")")[2].split()[1], flush=True)
process.join()
"""
STARTS = f"""
import json, subprocess, sys
from tests import fork_server
fork_server.CONTEXT.set_forkserver_preload(["json"])
started = json.dumps(fork_server.start())
print(*fork_server.processes(), flush=True)
for _ in range(2):
    subprocess.run([sys.executable, "-c", {USES!r}, started], check=True)
"""


def test_two_processes_fork_from_the_server_of_a_third() -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    command = [sys.executable, "-c", STARTS]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=300)
    first, *lines = done.stdout.splitlines()
    parents = [line for line in lines if line != "forked"]
    assert len(set(parents)) == 1
    assert parents[0] in first.split()
    assert lines.count("forked") == len(parents) == 2


def test_a_process_without_one_names_none() -> None:
    assert None not in fork_server.processes()
