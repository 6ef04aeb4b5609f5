"""What spreading an ingest with Ray costs, against what is asked of it. Needs the extra `ray`.

    python -m recipes.spread [--out build/spread] [--videos 60] [--rounds 1] [--files 2000000]

Each step is kept, and the same command goes on. Wall seconds say something on an idle machine alone; CPU
seconds say it on a busy one too. Exit code 1 where a video is lost, stored twice or has other features.
"""

import argparse
import json
import signal
import sys
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from recipes.spread.kills import KILLED, alone, killing
from recipes.spread.listing import listing
from recipes.spread.overhead import overhead
from recipes.spread.work import make
from recipes.steps import Steps
from trainer.spread.crew import INSTALL


def main() -> int:
    """Measure, and print a table."""
    options = _options()
    if find_spec("ray") is None:
        sys.exit(f"python -m recipes.spread needs Ray, which is not installed: {INSTALL}")
    # So that what was started is stopped, as by Ctrl-C.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    out = options.out.resolve()
    steps = Steps(out / "steps")
    work = make(out, options.videos)

    def measured(name: str, key: object, measure: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        said = steps.once(name, [str(options.videos), str(key)], lambda: json.dumps(measure()))
        found: dict[str, Any] = json.loads(said)
        return found

    cost = measured("overhead", options.rounds, partial(overhead, work, options.rounds))
    many = measured("listing", options.files, partial(listing, work, options.files))
    measured("whole", "", partial(alone, work))
    kills = {killed: measured(killed, "", partial(killing, work, killed)) for killed in KILLED}
    print(json.dumps({"overhead": cost, "listing": many, "kills": kills}, indent=1))
    print(_table(cost, many, kills))
    return int(bool(cost["differences"]) or any(one["differences"] or one["twice"] for one in kills.values()))


def _table(cost: dict[str, Any], many: dict[str, Any], kills: dict[str, Any]) -> str:
    rows = [
        ("wall time, times that without Ray", "1.10", cost["wall_ratio"]),
        ("CPU seconds, times those without Ray", "", cost["cpu_ratio"]),
        ("MB of Ray and the command that drives it", "1200", cost["ray_mb"]),
        (f"s until the first of {many['files']:,} is stored, on a cluster that runs", "10", many["first_s"]),
        ("the same, where the command starts Ray", "", many["alone_s"]),
        (f"MB of a driver of {many['files']:,} paths", "1000", many["driver_mb"]),
    ]
    for killed, found in kills.items():
        rows.append((f"videos lost or other, {killed} killed", "0", len(found["differences"])))
        rows.append((f"videos stored twice, {killed} killed", "0", found["twice"]))
        rows.append((f"videos begun again, {killed} killed", "1", len(found["again"])))
    lines = ["| what | asked | measured |", "|---|---|---|"]
    return "\n".join(lines + [f"| {what} | {asked} | {found} |" for what, asked, found in rows])


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m recipes.spread", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("build/spread"))
    parser.add_argument("--videos", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=1, help="of ingests with and without Ray, in turn")
    parser.add_argument("--files", type=int, default=2_000_000, help="of the long list")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
