"""Fuzzes every file reader, guided by coverage, and prints one line of JSON; exit code 1 for a defect.

python -m tests.fuzz --seconds 120                 each target in turn
python -m tests.fuzz --seconds 600 --target store
"""

import argparse
import importlib.util
import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

MISSING = (
    'coverage-guided fuzzing needs atheris (CPython 3.11 to 3.13 on Linux): pip install "spr-engine[fuzz]"'
)
SHARED = Path("/dev/shm")
_RUNS = re.compile(r"stat::number_of_executed_units:\s+([0-9]+)")
_COVERAGE = re.compile(r"cov: ([0-9]+)")


def main() -> int:
    """Run, print the verdict, return the exit code."""
    from tests.fuzz.catalogue import TARGETS

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=120, help="of each target")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--target", action="append", choices=sorted(TARGETS), help="all, if none is named")
    options = parser.parse_args()
    if importlib.util.find_spec("atheris") is None:
        print(MISSING, file=sys.stderr)
        return 2
    found = {}
    for name in options.target or TARGETS:
        found[name] = fuzz(name, options.seconds, options.seed)
        print(f"{name}: {found[name]}", file=sys.stderr)
    defects = [f"{name}: {one['where']}" for name, said in found.items() for one in said["defects"]]
    print(json.dumps({"ok": not defects, "targets": found, "defects": defects}))
    return 1 if defects else 0


def fuzz(name: str, seconds: int, seed: int) -> dict[str, Any]:
    """Fuzz one target in a process of its own; return runs, coverage and defects, each with its input."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(dir=SHARED if SHARED.is_dir() else None) as made:
        folder = Path(made)
        command = [
            sys.executable,
            "-W",
            "ignore",
            "-m",
            "tests.fuzz.guided",
            name,
            str(seconds),
            str(seed),
            made,
        ]
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=seconds + 900
        )
        said = done.stdout.decode(errors="replace")
        told = folder / "defects.jsonl"
        defects = [json.loads(line) for line in told.read_text().splitlines()] if told.exists() else []
        for path in sorted(folder.iterdir()):
            if path.name.startswith(("crash-", "timeout-", "oom-", "leak-")):
                kind = path.name.partition("-")[0]
                defects.append({"where": kind, "why": said[-2000:], "input": path.read_bytes().hex()[:40000]})
    if done.returncode and not defects:
        defects.append({"where": f"exit code {done.returncode}", "why": said[-2000:], "input": ""})
    runs, covered = _RUNS.search(said), _COVERAGE.findall(said)
    return {
        "runs": int(runs[1]) if runs else None,
        "coverage": int(covered[-1]) if covered else None,
        "seconds": round(time.monotonic() - began),
        "defects": defects,
    }


if __name__ == "__main__":
    sys.exit(main())
