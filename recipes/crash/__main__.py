"""Kill, stop and slow processes at random under searches and changes, and hold all against the oracle.

    python -m recipes.crash --minutes 2 --seed 1 [--json FILE]

The same seed gives the same strikes and deeds. Exit code 1 where something acknowledged is lost, an answer
is not its version's, or the service does not become whole again.
"""

import argparse
import os
import signal
import sys
from collections import Counter
from pathlib import Path

from engine.errors import SprError
from engine.files import write_json
from recipes.crash.run import crash


def main() -> int:
    """Run for the minutes that the command line says."""
    options = _options()
    # So that the processes are stopped, as by Ctrl-C.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    try:
        run, deeds = crash(options.out, options.seed, 60 * options.minutes)
    except SprError as error:
        print(f"spr: {error}", file=sys.stderr)
        return error.exit_code
    if options.json:
        about = {**vars(run), "minutes": options.minutes, "deeds": deeds.done}
        write_json(options.json, {name: value for name, value in about.items() if name != "began"})
    kinds = Counter(str(strike["kind"]) for strike in run.strikes)
    print(f"seed {run.seed}: {_told(kinds)}; {_told(deeds.done)}")
    print(f"{run.searches} searches, {run.partial} partial")
    print(f"failed: {_told(run.failed) or 'none'}; violations: {len(run.violations)}")
    return int(bool(run.violations))


def _told(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.most_common())


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m recipes.crash", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("build/crash"))
    parser.add_argument("--minutes", type=float, default=2.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, help="write the verdict there")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
