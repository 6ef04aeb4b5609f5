"""The tables of docs/quality.md, from nothing: a rendered hard world, every model, val, and test once.

    python -m trainer.quality [--out build/quality] [--seeds 1 2 3] [--only first|main|ablation]

Each step is one `spr` command, printed before it runs. What is finished is kept, so a run that was stopped
goes on where it was. Val decides: what is measured on test changes nothing, and is measured once a model.
"""

import argparse
from pathlib import Path

from trainer.quality.run import (
    measure_first_stage,
    measure_on_test,
    once,
    read,
    steps,
    train_ranker,
    trainings,
)
from trainer.quality.tables import report
from trainer.quality.variants import FIRST


def main() -> None:
    """Make what is missing and print the tables."""
    parser = argparse.ArgumentParser(prog="python -m trainer.quality", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("build/quality"))
    parser.add_argument("--videos", type=int, default=600)
    parser.add_argument("--world-seed", type=int, default=7)
    parser.add_argument("--minutes", type=float, default=10, help="of the encoder's training")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--only", choices=["first", "main", "ablation"])
    options = parser.parse_args()
    out: Path = options.out
    for name, command in steps(out, options.videos, options.world_seed, options.minutes):
        once(out, name, command)
    for table, name, variant, seed in trainings(options.only, options.seeds):
        row = train_ranker(out, table, name, variant, seed)
        if table == "main":
            measure_on_test(out, row, variant)
    for seed in options.seeds if options.only in (None, "first") else ():
        for name, variant in FIRST.items():
            measure_first_stage(out, name, variant, seed)
    measured = (read(out / f"{name}.jsonl") for name in ("results", "test", "first"))
    print("\n".join(report(*measured)))


if __name__ == "__main__":
    main()
