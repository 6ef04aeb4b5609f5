import copy
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from bench.against import changes
from engine.errors import InvalidInput
from spr_cli.bench import command
from tests.bench.test_page import REPORT, row


def _report(
    memory: float = 20.0, ours: float = 4.0, floor: float = 2.0, rate: float = 100.0
) -> dict[str, Any]:
    stages = {
        "floor": [row("read_1", memory, "floor", unit="GB/s")],
        "rank": [row("stored", ours), row("floor", floor, "floor"), row("flat", 9.0, "published")],
        "load": [row("clients_32", rate, unit="queries/s")],
    }
    parts = {name: {"threads": 1, "seconds": 1.0, "notes": [], "rows": rows} for name, rows in stages.items()}
    return {**REPORT, "stages": parts}


def _factors(now: dict[str, Any]) -> dict[str, float]:
    return {one.key: round(one.factor, 6) for one in changes(now, _report())}


def test_a_slower_machine_is_no_regression() -> None:
    # Half as fast in all: the floors say so.
    assert _factors(_report(memory=10.0, ours=8.0, floor=4.0, rate=50.0)) == {
        "stored": 1.0,
        "clients_32": 1.0,
    }


def test_what_is_slower_than_its_floor_tells_is_found_the_worst_first() -> None:
    assert _factors(_report(ours=7.0, rate=80.0)) == {"stored": 1.75, "clients_32": 1.25}
    worst = changes(_report(ours=7.0, rate=80.0), _report())[0]
    assert worst.worse
    assert "rank, stored: 1.75 times as slow as before" in str(worst)


def test_runs_that_do_not_compare_are_refused() -> None:
    with pytest.raises(InvalidInput, match="sizes 'full', this one is of 'quick'"):
        changes({**_report(), "sizes": "quick"}, _report())
    unfloored = copy.deepcopy(_report())
    del unfloored["stages"]["floor"]
    with pytest.raises(InvalidInput, match="without stage floor"):
        changes(unfloored, _report())


@pytest.mark.parametrize(("ours", "code"), [(4.0, 0), (7.0, 1)])
def test_the_command_fails_where_a_figure_is_worse(tmp_path: Path, ours: float, code: int) -> None:
    paths = tmp_path / "now.json", tmp_path / "before.json"
    for path, report in zip(paths, (_report(ours=ours), _report()), strict=True):
        path.write_text(json.dumps(report), encoding="utf-8")
    done = CliRunner().invoke(command, ["--report", str(paths[0]), "--against", str(paths[1]), "--json"])
    assert done.exit_code == code
    assert ("times as slow" in done.stderr) is bool(code)
    assert json.loads(done.stdout)["against"][0]["key"] in ("stored", "clients_32")
