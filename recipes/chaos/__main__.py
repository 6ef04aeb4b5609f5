"""Break a real service in every way of the table, and hold the outcome against what is declared.

    python -m recipes.chaos [--only kill:ranker] [--seconds 6] [--json FILE] [--flat 100000]

Exit code 1 where a cell misses its outcome.
"""

import argparse
import os
import signal
import sys
import time
from pathlib import Path

from engine.errors import SprError
from engine.files import write_json
from recipes.chaos import flat, stage, table, verdict, world
from recipes.chaos.verdict import Verdict


def main() -> int:
    """Run the cells that the command line names."""
    options = _options()
    # So that the processes are stopped, as by Ctrl-C.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    # As `spr serve` has it for its processes; the oracle shares their cores.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    cells = table.chosen(options.only, options.coordinators)
    if options.flat:
        return _flat(options)
    if not cells:
        print(f"spr: no cell is named {', '.join(options.only)}; there are {_names()}", file=sys.stderr)
        return 2
    try:
        verdicts = _run(cells, options)
    except SprError as error:
        print(f"spr: {error}", file=sys.stderr)
        return error.exit_code
    verdict.show(verdicts)
    if options.page:
        print(verdict.page(verdicts))
    return int(any(one.misses for one in verdicts))


def _run(cells: list[table.Cell], options: argparse.Namespace) -> list[Verdict]:
    made, verdicts = world.make(options.out / "world"), []
    for name, setup in table.stages(options.coordinators).items():
        mine = [cell for cell in cells if cell.stage == name]
        if not mine:
            continue
        with stage.running(options.out, name, made, setup, options.seed) as running:
            for cell in mine:
                began = time.monotonic()
                verdicts.append(one := verdict.judge(running, cell, options.seconds))
                said = "; ".join(one.misses) or "held"
                print(f"{name} {cell.name}: {said} ({time.monotonic() - began:.0f} s)", flush=True)
                if options.json:
                    # After each: what was found so far is kept, whatever becomes of the run.
                    write_json(options.json, verdict.as_json(verdicts, seed=options.seed))
    return verdicts


def _flat(options: argparse.Namespace) -> int:
    made = world.make(options.out / "world")
    found = flat.measure(options.out / "flat", made, options.flat, options.coordinators)
    flat.show(found)
    if options.json:
        write_json(options.json, found)
    return int(bool(found["misses"]))


def _names() -> str:
    return ", ".join(dict.fromkeys(cell.name for cell in table.cells(1)))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m recipes.chaos", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("build/chaos"))
    parser.add_argument("--only", action="append", default=[], metavar="FAULT:COMPONENT")
    parser.add_argument("--seconds", type=float, default=6.0, help="that a fault is watched, at least")
    parser.add_argument("--coordinators", type=int, default=1)
    parser.add_argument("--flat", type=int, default=0, metavar="N", help="only watch memory over N searches")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--page", action="store_true", help="print the table as Markdown too")
    parser.add_argument("--json", type=Path, help="write the verdict there")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
