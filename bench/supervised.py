"""The supervisor in a process of its own: `python -m bench.supervised TOPOLOGY`.

Prints the coordinator's ready line on stdout when everything serves; the logs of all processes go to stderr.
SIGTERM stops everything. An error is a sentence on stderr and an exit code.
"""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

from engine import config, logs
from engine.errors import SprError
from engine.processes import programs
from engine.supervisor import Supervisor


def serve(path: Path) -> None:
    """Run the processes of a topology until a signal."""
    topology = config.read(path)
    writer = logs.configure(topology.log_level)
    try:
        Supervisor(programs(topology), _ready, hang_timeout=topology.hang_timeout, writer=writer).run()
    finally:
        writer.flush(logs.LAST_WORDS)


def _ready(line: dict[str, Any]) -> None:
    print(json.dumps(line), flush=True)


def main() -> int:
    """Serve the topology that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m bench.supervised", description="Serve a topology.")
    parser.add_argument("topology", type=Path)
    # As `spr serve` has it: threads of OpenMP that spin while they wait slow a busy machine down.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        serve(parser.parse_args().topology)
    except SprError as error:
        print(f"spr: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
