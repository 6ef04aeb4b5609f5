"""Tests that need a GPU that torch sees: `make gpu` runs them, elsewhere they are skipped with a reason."""

import os
from collections.abc import Callable
from typing import TypeVar

import pytest
import torch

# SPR_TEST_DEVICE=cpu tries the tests themselves where there is no GPU.
DEVICE = torch.device(os.environ.get("SPR_TEST_DEVICE", "cuda"))
_Test = TypeVar("_Test", bound=Callable[..., None])


def needs_gpu(test: _Test) -> _Test:
    """Mark and skip a test."""
    missing = DEVICE.type == "cuda" and not torch.cuda.is_available()
    absent = pytest.mark.skipif(missing, reason="needs a GPU that torch sees")
    marked: _Test = pytest.mark.gpu(absent(test))
    return marked
