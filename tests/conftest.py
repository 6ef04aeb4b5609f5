"""What all tests share: so many threads of arithmetic, in this process and in those it starts."""

import os
import sys

import pytest

# Two cores are shared with the processes under test. Another number may be given: no test depends on it.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(autouse=True)
def _as_many_threads() -> None:
    # Code under test may have asked for others in an earlier test.
    if "torch" in sys.modules:
        import torch

        torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
