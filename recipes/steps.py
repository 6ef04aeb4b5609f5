"""Steps of a recipe, each done once: a step is kept while its command and all before it are what they were.

    steps = Steps(Path("build/demo/steps"))
    steps.run("render", ["corpus", "render", "world"])
    said = steps.run("train", ["train", "ranker", "c", "--json"], after=("render",))

`steps/NAME.json` holds the step's hash, which is of its command and of the hashes of the steps before it, and
what it said. So another seed, another size or another option does every later step anew, and nothing is
measured on what a former run left.
"""

import hashlib
import json
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from engine.files import write_json

SPR = (sys.executable, "-m", "spr_cli.main")


class Steps:
    """What was done in a folder. program: what runs the commands."""

    def __init__(self, folder: Path, program: Sequence[str] = SPR) -> None:
        self.folder, self.program = folder, tuple(program)
        self._hashes: dict[str, str] = {}

    def run(self, name: str, command: Sequence[str], *, after: Sequence[str] = (), key: str = "") -> str:
        """Run one command unless that is done; return what it printed if it has --json, else "".

        after: the steps that it builds on, which have run. key: what else it depends on.
        """
        capture = "--json" in command
        return self.once(name, [*command, key], lambda: self.spr(command, capture), after=after)

    def once(
        self, name: str, identity: Sequence[str], make: Callable[[], str], *, after: Sequence[str] = ()
    ) -> str:
        """Return what `make` gave when the step was done with this identity after these steps."""
        wanted = hashlib.sha256(
            json.dumps([list(identity), [self._hashes[step] for step in after]]).encode()
        ).hexdigest()
        self._hashes[name] = wanted
        path = self.folder / f"{name}.json"
        kept = _read(path)
        if kept.get("hash") == wanted:
            _say(f"kept    {name}")
            return str(kept.get("said", ""))
        began = time.monotonic()
        said = make()
        write_json(path, {"hash": wanted, "said": said})
        _say(f"        {name} took {time.monotonic() - began:.0f} s")
        return said

    def spr(self, command: Sequence[str], capture: bool = False) -> str:
        """Print and run one command; leave with its exit code if it fails. Return its output if captured."""
        _say(f"\n$ {show(command)}")
        done = subprocess.run(
            [*self.program, *command], stdout=subprocess.PIPE if capture else None, text=True, check=False
        )
        if done.returncode:
            sys.exit(done.returncode)
        return done.stdout or ""


def show(command: Sequence[str]) -> str:
    """Return the command line as a user types it."""
    return shlex.join(["spr", *command])


def _read(path: Path) -> dict[str, Any]:
    """Return what a step left; {} where it left nothing, or something else."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
