"""What texts add to a search: `python -m bench.channels ADDRESS QUERIES`, of a service that runs.

Each query is asked by turns in pictures alone and in all channels, so that what else the machine does falls
on both. The first turn of a query encodes it; the next ones find it in the cache.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np

from spr_client import Client, Options

ROUNDS, QUICK = 40, 4
KINDS = {"seen": Options(channels=("seen",)), "all": Options()}


def measure(address: str, queries: list[str], rounds: int) -> dict[str, dict[str, float]]:
    """Return milliseconds of a whole search, and of its stages at the median, by kind.

    The 5th percentile is what a busy machine disturbs least.
    """
    took: dict[str, list[float]] = {name: [] for name in KINDS}
    stages: dict[str, dict[str, list[float]]] = {name: {} for name in KINDS}
    with Client(address) as client:
        for number in range(rounds + 1):
            for at, query in enumerate(queries):
                # The first of the two changes, so that neither always finds the caches warm.
                for name in sorted(KINDS, reverse=(number + at) % 2 == 0):
                    began = time.perf_counter()
                    result = client.search(query, options=KINDS[name])
                    if not number:
                        continue
                    took[name].append(1000 * (time.perf_counter() - began))
                    for stage, seconds in result.timings.items():
                        stages[name].setdefault(stage, []).append(1000 * seconds)
    return {
        name: {
            **{f"p{share}": float(np.percentile(took[name], share)) for share in (5, 50, 99)},
            **{stage: float(np.median(values)) for stage, values in stages[name].items()},
        }
        for name in KINDS
    }


def main() -> None:
    """Print a line a kind."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("address")
    parser.add_argument("queries", type=Path, help="A file with a query a line.")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK} rounds in place of {ROUNDS}.")
    options = parser.parse_args()
    queries = [line for line in options.queries.read_text(encoding="utf-8").splitlines() if line.strip()]
    found = measure(options.address, queries, QUICK if options.quick else ROUNDS)
    for name, values in found.items():
        print(json.dumps({"channels": name, **{key: round(value, 3) for key, value in values.items()}}))


if __name__ == "__main__":
    main()
