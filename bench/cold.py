"""The first searches of a service that starts with nothing cached: `python -m bench cold --cache DIR`.

A collection's files leave the page cache, the service starts, and sentences are asked one after the other,
each for the first time; then as many more. The published size with `--sizes full`. Libraries stay cached.
"""

import os
import time
from pathlib import Path
from typing import Any

from bench import building, models, service
from bench.results import Setup
from bench.timing import Laps

SEARCHES = 200


def run(setup: Setup) -> dict[str, Any]:
    """Return seconds until the service answers, and milliseconds of its first searches and of later ones."""
    collection = building.collection(setup.cache, setup.sizes)
    models.write_encoder(setup.cache, setup.sizes)
    asked = models.texts(3 * SEARCHES, seed=1)
    found: dict[str, Any] = {}
    for name in ("cold", "cached"):
        if name == "cold":
            for path in [*collection.rglob("*"), *setup.cache.glob("clip-*/*")]:
                forget(path)
        began = time.perf_counter()
        with service.running(collection, setup.threads) as running:
            found[f"{name}: opened_s"] = round(time.perf_counter() - began, 2)
            rounds = []
            for number in range(3):
                texts = asked[number * SEARCHES : (number + 1) * SEARCHES]
                taken = [elapsed for _, elapsed in service.ask_in_turn(running, texts, SEARCHES, "cold")]
                rounds.append(Laps(tuple(sorted(taken))))
                if not number:
                    found[f"{name}: first ten, ms"] = [round(elapsed, 1) for elapsed in taken[:10]]
        for number, laps in enumerate(rounds):
            for share in (0.5, 0.99):
                found[f"{name}: round {number + 1}, p{100 * share:g}_ms"] = round(laps.share(share), 1)
    return found


def forget(path: Path) -> None:
    """Take a file out of the page cache."""
    if path.is_file():
        with path.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
