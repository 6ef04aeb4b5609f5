"""One stage in a process of its own: see `bench`; `huge` and `cold` are no stages of `spr bench`."""

import argparse
import json
import os
import sys
from pathlib import Path

from engine.cores import choose_kernels


def main() -> int:
    """Run the stage and print its part of the report; an error is a sentence on stderr and an exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Run one stage.")
    parser.add_argument("stage")
    parser.add_argument("--sizes", default="full")
    parser.add_argument("--cache", type=Path, default=Path("build/bench"))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--segments", type=int, default=10_000_000, help="of huge")
    parser.add_argument("--out", type=Path, default=Path("build/huge"), help="of huge")
    options = parser.parse_args()
    # Read once, when the libraries load.
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(options.threads)
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    choose_kernels()
    from bench import registry, sizes
    from bench.results import Setup
    from engine.errors import SprError

    if options.stage == "huge":
        from bench import huge

        for figures in huge.run(options.segments, sizes.named(options.sizes).dim, options.out.resolve()):
            print(json.dumps(figures, indent=2), flush=True)
        return 0
    options.cache.mkdir(parents=True, exist_ok=True)
    setup = Setup(sizes.named(options.sizes), options.cache.resolve(), options.threads)
    if options.stage == "cold":
        from bench import cold

        print(json.dumps(cold.run(setup), indent=2))
        return 0
    # What libraries print must not come between: the answer is the last line.
    try:
        answer = registry.run_here(options.stage, setup)
    except SprError as error:
        print(f"spr: {error}", file=sys.stderr)
        return error.exit_code
    print(json.dumps(answer), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
