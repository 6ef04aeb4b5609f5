"""As `make chaos` and `make crash`, for some minutes: SPR_SEED says which faults."""

import os
from pathlib import Path

import pytest

from recipes.chaos import flat, stage, table, verdict, world
from recipes.chaos.world import World
from recipes.crash.run import crash

pytestmark = [pytest.mark.nightly, pytest.mark.timeout(1800)]
SEED = int(os.environ.get("SPR_SEED", "1"))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> World:
    return world.make(tmp_path_factory.mktemp("chaos") / "world")


def test_cells_of_a_service_without_replicas_hold(made: World, tmp_path: Path) -> None:
    setup = table.stages(1)["single"]
    with stage.running(tmp_path, "single", made, setup, SEED) as running:
        cells = [cell for cell in table.cells(1) if cell.stage == "single"]
        verdicts = [verdict.judge(running, cell, 4.0) for cell in cells]
    verdict.show(verdicts)
    assert [one for one in verdicts if one.misses] == []


def test_memory_is_flat(made: World, tmp_path: Path) -> None:
    found = flat.measure(tmp_path / "flat", made, 2000, 1)
    flat.show(found)
    # So few searches fill caches still: they tell a leak of files from none, and of memory a large one.
    growth = {one["process"]: (one["last"] - one["first"], one["files_slope"]) for one in found["processes"]}
    assert all(memory < 20 and files < 20 for memory, files in growth.values()), growth


def test_crashes_at_random_lose_nothing(tmp_path: Path) -> None:
    run, deeds = crash(tmp_path, SEED, 120)
    print(run, deeds.done)
    assert run.strikes
    assert run.searches
    assert run.violations == []
