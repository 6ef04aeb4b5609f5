"""What `python -m bench cold` measures: a service whose files left the page cache, and one that is cached."""

from pathlib import Path

import pytest

from bench import cold
from bench.results import Setup
from bench.sizes import TINY

pytestmark = [pytest.mark.nightly, pytest.mark.timeout(600)]


def test_first_searches_are_measured_beside_later_ones(tmp_path: Path) -> None:
    found = cold.run(Setup(TINY, tmp_path, threads=1))
    for start in ("cold", "cached"):
        assert found[f"{start}: opened_s"] > 0
        assert len(found[f"{start}: first ten, ms"]) == 10
        for number in (1, 2, 3):
            assert 0 < found[f"{start}: round {number}, p50_ms"] <= found[f"{start}: round {number}, p99_ms"]
