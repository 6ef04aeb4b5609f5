"""Ten thousand seeds of searches in virtual time."""

from pathlib import Path

import pytest

from tests.engine.promises import play
from tests.engine.simulation import World


@pytest.mark.nightly
@pytest.mark.timeout(3600)
def test_ten_thousand_seeds(tmp_path: Path) -> None:
    play(World.make(tmp_path / "collection"), range(1000, 11_000))
