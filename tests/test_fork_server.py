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
ours, theirs = fork_server.CONTEXT.Pipe()
process = fork_server.CONTEXT.Process(target=ours.recv)
process.start()
print(open(f"/proc/{process.pid}/stat").read().rpartition(")")[2].split()[1], flush=True)
theirs.send("end")
process.join()
sys.exit(process.exitcode)
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
    first, *parents = done.stdout.splitlines()
    assert len(parents) == 2
    assert len(set(parents)) == 1
    assert parents[0] in first.split()


def test_a_process_without_one_names_none() -> None:
    assert None not in fork_server.processes()
