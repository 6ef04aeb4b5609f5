from pathlib import Path
from typing import Any

import pytest

from bench import results, run
from bench.page import page, stages_page
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
    asked = "≤ 1 ms; ≥ 0.99 recall@200; ≤ 60 MB of codes; ≤ 25 s to build"
    assert any(f"| {asked} | 9.5; 0.995; 40; 21 | NO; yes; yes; yes | 78 ms |" in line for line in lines)
    assert not any("≤ 4 x the latency" in line for line in lines)


def test_a_goal_that_its_stage_did_not_measure_is_said_so() -> None:
    report = {**REPORT, "stages": {"rank": {"threads": 1, "seconds": 1.0, "rows": [], "notes": []}}}
    assert any("| ≤ 3 ms | not measured | - |" in line for line in page(report).splitlines())


def test_the_page_of_stages_has_every_row_and_no_noise() -> None:
    default = row("default", 9.5, more={"recall@200": 0.995, "recall@10": 0.999, "p99_ms": 11.0})
    search = {"threads": 2, "seconds": 3.0, "rows": [row("p50", 8.5, more={"p99_ms": 14.6})], "notes": []}
    index = {**REPORT["stages"]["index"], "rows": [default, row("flat", 78.0, "published")]}
    lines = stages_page({**REPORT, "stages": {"index": index, "search": search}}).splitlines()
    assert "On 1 thread. a note" in lines
    assert "| default | 9.5 ms, 0.995 recall@200 |" in lines
    assert "| published way: flat | 78 ms |" in lines
    assert "| p50 | 8.5 ms, 14.6 ms p99 |" in lines


def test_page_plots_and_json_are_written_and_read_again(tmp_path: Path) -> None:
    run.save(REPORT, tmp_path)
    assert (tmp_path / "stages.md").read_text(encoding="utf-8") == stages_page(REPORT)
    assert (tmp_path / "latency-recall.png").stat().st_size > 1000
    assert not (tmp_path / "load.png").exists()
    assert results.read(tmp_path / "bench.json") == REPORT
    (tmp_path / "bench.json").write_text("{}")
    with pytest.raises(InvalidInput, match="not a report"):
        results.read(tmp_path / "bench.json")


def test_the_committed_pages_are_what_their_figures_make() -> None:
    found = results.read(DOCS / "performance" / "bench.json")
    assert (DOCS / "performance" / "stages.md").read_text(encoding="utf-8") == stages_page(found)
    assert (DOCS / "performance.md").read_text(encoding="utf-8") == page(found, "performance/")


def test_every_target_has_a_goal_and_figures_are_readable() -> None:
    assert all(target.goals for target in TARGETS)
    assert [number(x) for x in (0.0821, 3.0, 78.43, 1234.6)] == ["0.0821", "3", "78.4", "1,235"]
