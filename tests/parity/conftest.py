"""Where the recorded cases that are too large for the repository lie."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def recorded() -> Path:
    """Return the folder of all recorded cases, or skip: it is named by SPR_GOLDEN."""
    folder = os.environ.get("SPR_GOLDEN", "")
    if not folder:
        pytest.skip("set SPR_GOLDEN to the folder of full-size recorded cases (docs/reproduce.md)")
    path = Path(folder)
    assert path.is_dir(), f"SPR_GOLDEN is {folder}, which is no folder"
    return path
