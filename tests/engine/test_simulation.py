"""Fan-out, hedging, ejection, retries and coverage under many seeds, in virtual time."""

import pytest

from engine.hedging import Hedging
from tests.engine.promises import play
from tests.engine.simulation import PLACES, World

SEEDS, AT_ONCE = 100, 50


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World.make(tmp_path_factory.mktemp("simulation") / "collection")


@pytest.mark.parametrize("first", range(0, SEEDS, AT_ONCE))
def test_searches_keep_their_promises_whatever_befalls_the_workers(world: World, first: int) -> None:
    play(world, range(first, first + AT_ONCE))


def test_the_budgets_are_those_that_are_checked() -> None:
    hedging = Hedging(PLACES)
    assert sum(hedging.hedges.take() for _ in range(99)) == 10
    assert sum(hedging.retries.take() for _ in range(99)) == PLACES
