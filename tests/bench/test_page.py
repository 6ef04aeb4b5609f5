from pathlib import Path
from typing import Any

import pytest

from bench import results, run
from bench.page import page
from bench.targets import TARGETS, number
from engine.errors import InvalidInput

DOCS = Path(__file__).parents[2] / "docs"


def row(key: str, value: float, way: str = "ours", more: Any = None, unit: str = "ms") -> dict[str, Any]:
    return {"key": key, "label": key, "way": way, "value": value, "unit": unit, "more": more or {}}


REPORT: dict[str, Any] = {
    "format": 1,
    "date": "2026-01-02 03:04 UTC",
    "sizes": "full",
    "machine": {
        "processor": "a processor",
        "cores": 2,
        "memory_gib": 4.0,
        "system": "Linux",
        "python": "3.11",
        "packages": {"numpy": "2"},
    },
    "stages": {
        "index": {
            "threads": 1,
            "seconds": 3.0,
            "rows": [
                row("default", 9.5, more={"recall@200": 0.995, "codes_mb": 40.0, "build_s": 21.0}),
                row("flat", 78.0, "published", {"recall@200": 1.0}),
            ],
            "notes": ["a note"],
        },
    },
}


def test_the_page_says_what_was_met() -> None:
    lines = page(REPORT).splitlines()
    assert any("≤ 10 ms | 9.5 | yes | 78 ms" in line for line in lines)
    assert any("≤ 20 s to build | 21 | **no**" in line for line in lines)
    assert any("≤ 0.3 ms | not measured |" in line for line in lines)
    assert "* a note" in lines


def test_page_plots_and_json_are_written_and_read_again(tmp_path: Path) -> None:
    run.save(REPORT, tmp_path)
    assert (tmp_path / "latency-recall.png").stat().st_size > 1000
    assert not (tmp_path / "load.png").exists()
    assert results.read(tmp_path / "bench.json") == REPORT
    (tmp_path / "bench.json").write_text("{}")
    with pytest.raises(InvalidInput, match="not a report"):
        results.read(tmp_path / "bench.json")


def test_the_committed_page_is_what_its_figures_make() -> None:
    found = results.read(DOCS / "performance" / "bench.json")
    assert (DOCS / "performance.md").read_text(encoding="utf-8") == page(found, "performance/")


def test_every_target_has_a_goal_and_figures_are_readable() -> None:
    assert all(target.goals for target in TARGETS)
    assert [number(x) for x in (0.0821, 3.0, 78.43, 1234.6)] == ["0.0821", "3", "78.4", "1,235"]
