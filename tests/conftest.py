"""What all tests share: so many threads of arithmetic, in this process and in those it starts."""

import os
import sys

import pytest

# Two cores are shared with the processes under test. Another number may be given: no test depends on it.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# As the command line has it: threads that spin while they wait starve all else on a busy machine.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


@pytest.fixture(autouse=True)
def _as_many_threads() -> None:
    # Code under test may have asked for others in an earlier test.
    if "torch" in sys.modules:
        import torch

        torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))


@pytest.fixture
def one_thread(_as_many_threads: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compute on one thread, here and in processes that the test starts: the same sums to the last bit."""
    import torch

    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    torch.set_num_threads(1)
