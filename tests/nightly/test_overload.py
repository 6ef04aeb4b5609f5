"""A coordinator over a ranker of fixed speed, whatever the machine: goodput beyond its peak."""

import asyncio
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from bench.open_loop import Asked, _run
from tests.engine.oracle import cluster
from tests.engine.running import coordinator

AT_ONCE, SECONDS = threading.Semaphore(2), 0.15


def ranked() -> None:
    with AT_ONCE:
        time.sleep(SECONDS)


@pytest.mark.nightly
@pytest.mark.parametrize("deadline", [2.0, 10.0])
def test_goodput_holds_at_five_times_the_peaks_load(tmp_path: Path, deadline: float) -> None:
    async def run() -> tuple[float, float]:
        async with coordinator(workers) as (_, running):
            asked = Asked(
                address=running.address, texts=["a ball", "a cat"], seconds=8.0, deadline=10.0, clients=12
            )
            peak = (await _run(asked)).goodput
            found = await _run(replace(asked, deadline=deadline, clients=0, rate=5 * peak))
            return peak, found.goodput

    with cluster(tmp_path) as workers:
        workers.rankers[0].ranking.enter = ranked  # type: ignore[method-assign]
        peak, goodput = asyncio.run(run())
    assert goodput >= 0.8 * peak
