"""The generator of load, in this process."""

import asyncio
from pathlib import Path

import pytest

from bench import open_loop
from bench.open_loop import Asked
from tests.engine.oracle import cluster
from tests.engine.running import coordinator


@pytest.mark.parametrize("asked", [{"rate": 200.0}, {"clients": 4}], ids=["open", "closed"])
def test_answers_are_counted(tmp_path: Path, asked: dict[str, float]) -> None:
    async def run() -> open_loop.Outcomes:
        async with coordinator(workers) as (_, running):
            return await open_loop._run(
                Asked(address=running.address, texts=["a ball", "a cat"], seconds=1.0, deadline=60.0, **asked)  # type: ignore[arg-type]
            )

    with cluster(tmp_path) as workers:
        found = asyncio.run(run())
    assert found.goodput > 0
    assert not found.others


def test_refusals_are_counted_apart(tmp_path: Path) -> None:
    async def run() -> open_loop.Outcomes:
        async with coordinator(workers) as (_, running):
            workers.rankers[0].encoding.open.clear()
            asked = Asked(address=running.address, texts=["a ball"], seconds=0.4, deadline=60.0, rate=100.0)
            return await open_loop._run(asked)

    with cluster(tmp_path, max_in_flight=1) as workers:
        found = asyncio.run(run())
    assert not found.whole
    assert found.refused_ms(0.5) > 0
