"""`python -m bench.gpu`: the tests that need a GPU, then what one does, as a page of tables."""

import argparse
import json
import os
import sys
from pathlib import Path

SECONDS = 360.0


def main() -> int:
    """Run all parts and write the page, or one part; exit code 1 unless no test failed, 2 without a GPU."""
    parser = argparse.ArgumentParser(prog="python -m bench.gpu", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("docs/performance-gpu.md"), help="page to write")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of the whole, 360 by default")
    parser.add_argument("--cache", type=Path, default=Path("build/bench"), help="for films and models")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="of the CPU's part")
    parser.add_argument("--sizes", default="full", help="full, or tiny for a try")
    parser.add_argument("--device", default="cuda", help="cuda, or cpu for a try of the script itself")
    parser.add_argument("--part", help="run this one alone and print JSON")
    given = parser.parse_args()
    import torch

    if given.device == "cuda" and not torch.cuda.is_available():
        print(
            f"spr: torch {torch.__version__} sees no GPU: on a machine with one and its driver run "
            "`make install FLAVOUR=gpu`, then `make gpu`.",
            file=sys.stderr,
        )
        return 2
    return _part(given) if given.part else _whole(given)


def _part(given: argparse.Namespace) -> int:
    import torch

    from bench import sizes
    from bench.gpu.parts import run_here
    from bench.results import Setup

    given.cache.mkdir(parents=True, exist_ok=True)
    setup = Setup(sizes.named(given.sizes), given.cache.resolve(), given.threads)
    print(json.dumps(run_here(given.part, setup, torch.device(given.device))), flush=True)
    return 0


def _whole(given: argparse.Namespace) -> int:
    from bench.gpu.page import page
    from bench.gpu.parts import run
    from bench.results import figure

    def tell(part: str) -> None:
        print(f"{part} ...", file=sys.stderr, flush=True)

    report = run(given.device, given.sizes, given.cache, given.threads, given.seconds, tell)
    written = page(report)
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(written, encoding="utf-8")
    print(written)
    return 0 if figure(report, "suite", "failed") == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
