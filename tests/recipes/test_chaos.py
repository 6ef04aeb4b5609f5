"""The table of faults, what is held against it, and the crasher's schedule."""

import itertools
from dataclasses import replace
from pathlib import Path

import grpc
import pytest

from engine.errors import SprError
from recipes.chaos import flat, table, verdict
from recipes.chaos.operator import Operator
from recipes.chaos.oracle import same
from recipes.chaos.table import CHANGES, COMPONENTS, PROCESS_FAULTS, SILENT, STATED, UNHARMED, Cell, Outcome
from recipes.chaos.verdict import Verdict
from recipes.crash import schedule
from tests.engine.failing import failure

MOMENTS = (("a", 0.0, 4.0, 0.5), ("b", 4.0, 8.0, 0.25))


def of(outcome: Outcome, **measured: object) -> list[str]:
    held = Verdict("replicated", "kill", "index", outcome.name, 100, 0, 0, 0, 10.0, 20.0, 10.0, 0.0, {}, ())
    return verdict.missed(replace(held, **measured), Cell("replicated", "kill", "index", outcome))  # type: ignore[arg-type]


@pytest.mark.parametrize("coordinators", [1, 2])
def test_every_fault_of_every_component_has_a_declared_outcome(coordinators: int) -> None:
    cells = [cell for cell in table.cells(coordinators) if cell.stage != "single"]
    named = [(cell.fault, cell.component) for cell in cells]
    assert len(set(named)) == len(named)
    assert set(named) == {
        *itertools.product((*PROCESS_FAULTS, "flip"), COMPONENTS),
        *itertools.product(CHANGES, ("none", *COMPONENTS)),
    }
    harmed = {cell.component for cell in cells if cell.outcome is not UNHARMED}
    assert harmed == ({"coordinator"} if coordinators == 1 else set())


def test_cells_are_chosen_by_fault_component_or_both() -> None:
    assert {cell.fault for cell in table.chosen(["kill"], 1)} == {"kill"}
    assert {cell.component for cell in table.chosen([":ranker"], 1)} == {"ranker"}
    assert {cell.name for cell in table.chosen(["flip:index"], 1)} == {"flip:index"}
    assert table.chosen(["flood:index"], 1) == []


def test_what_differs_from_the_declared_outcome_is_missed() -> None:
    assert of(UNHARMED) == of(STATED, partial=7) == of(SILENT, failed=7, partial=7) == []
    assert of(UNHARMED, failed=1) == of(STATED, failed=1) == ["1 searches failed"]
    assert of(UNHARMED, partial=1) == ["1 answers were partial"]
    assert of(UNHARMED, p99=31.0) == ["p99 is 31 ms, more than 3 x 10"]
    assert of(STATED, p99=3000.0) == []
    for outcome in (UNHARMED, STATED, SILENT):
        assert len(of(outcome, wrong=1)) == len(of(outcome, back=1.01)) == 1


def test_an_answer_is_the_expected_one_to_a_millionth() -> None:
    (first, second), near = MOMENTS, ("a", 0.0, 4.0, 0.5 + 5e-7)
    assert same(MOMENTS, (near, second))
    assert not same(MOMENTS, (second, first))
    assert not same(MOMENTS, (("a", 0.0, 4.0, 0.5 + 2e-6), second))
    assert not same(MOMENTS, (first,))


@pytest.mark.parametrize(("megabytes", "files"), [(0.0, 0.0), (2.0, 0.0), (0.0, 3.0)])
def test_growth_is_told_from_the_warm_up(megabytes: float, files: float) -> None:
    def sample(part: int) -> tuple[float, int]:
        return 70 + min(part, 20) + megabytes * part / 10, 30 + int(files * part / 10)

    samples = [(1000 * part, {"one": sample(part)}) for part in range(101)]
    trend = flat.trend("one", samples)
    assert abs(trend.slope - megabytes) < 0.01
    assert abs(trend.files_slope - files) < 0.1


def test_the_same_seed_gives_the_same_strikes_and_deeds() -> None:
    def drawn(seed: int) -> tuple[object, object]:
        strikes = list(itertools.islice(schedule.strikes(seed), 200))
        deeds = [(kind, chance.random()) for kind, chance in itertools.islice(schedule.deeds(seed), 200)]
        return strikes, deeds

    assert drawn(1) == drawn(1)
    assert drawn(1)[0] != drawn(2)[0]
    assert drawn(1)[1] != drawn(2)[1]
    assert {strike.kind for strike in itertools.islice(schedule.strikes(1), 200)} == schedule.STRIKES.keys()


def test_what_a_full_disk_refuses_is_not_asked_again(tmp_path: Path) -> None:
    def refused(_: object) -> None:
        raise failure(grpc.StatusCode.UNAVAILABLE, "DISK_FULL")

    with pytest.raises(SprError, match="UNAVAILABLE"):
        Operator(["127.0.0.1:1"], tmp_path)._call(refused)
