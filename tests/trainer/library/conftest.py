"""A directory in memory, for tests that sync much."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

MEMORY = Path("/dev/shm")


def in_memory() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="spr-test-", dir=MEMORY if MEMORY.is_dir() else None))
    yield path
    shutil.rmtree(path, ignore_errors=True)


memory = pytest.fixture(in_memory)
memory_of_module = pytest.fixture(in_memory, scope="module")
