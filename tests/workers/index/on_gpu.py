"""Tests that need a GPU that FAISS sees: `make gpu` runs them, elsewhere they are skipped with a reason."""

from collections.abc import Callable
from typing import TypeVar

import pytest

from workers.index import gpu

_Test = TypeVar("_Test", bound=Callable[..., None])


def needs_gpu(test: _Test) -> _Test:
    """Mark and skip a test."""
    absent = pytest.mark.skipif(not gpu.available(), reason="needs faiss-gpu and a GPU")
    marked: _Test = pytest.mark.gpu(absent(test))
    return marked
