"""As tests/system/test_fuzz.py, with more requests: some minutes. SPR_FUZZ: how many, SPR_SEED: which."""

import os
from pathlib import Path

import pytest

from tests.system import world
from tests.system.fuzz_run import trial, verdict


@pytest.mark.nightly
def test_many_requests_of_all_kinds(tmp_path: Path) -> None:
    collection = world.collection(tmp_path / "collection")
    count, seed = int(os.environ.get("SPR_FUZZ", "30000")), int(os.environ.get("SPR_SEED", "1"))
    done = trial(collection, tmp_path, count, seed)
    print(verdict(done))
    assert not done.defects, done.defects[:20]
