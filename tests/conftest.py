"""What all tests share: one thread of arithmetic, in this process and in those it starts."""

import os
import sys

import pytest

# Sums of floats depend on the number of threads, and two cores are shared with the processes under test.
os.environ["OMP_NUM_THREADS"] = "1"


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    # Code under test may have asked for more in an earlier test.
    if "torch" in sys.modules:
        import torch

        torch.set_num_threads(1)
