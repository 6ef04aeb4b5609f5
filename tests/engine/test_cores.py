"""How many cores a process counts, when it is pinned and when its container has a share."""

import os
from pathlib import Path

import pytest

from engine.cores import cores, features, use_at_most

ALLOWED = os.sched_getaffinity(0)


@pytest.mark.parametrize(
    ("limit", "counted"),
    [
        ("max 100000", len(ALLOWED)),
        ("50000 100000", 1),
        ("9900000 100000", len(ALLOWED)),
        ("no limit", len(ALLOWED)),
    ],
)
def test_a_containers_share_is_rounded_up_to_whole_cores(tmp_path: Path, limit: str, counted: int) -> None:
    (path := tmp_path / "cpu.max").write_text(f"{limit}\n")
    assert cores(path) == counted
    assert cores(tmp_path / "none") == len(ALLOWED)


def test_a_process_may_be_given_a_part_of_them(tmp_path: Path) -> None:
    (path := tmp_path / "cpu.max").write_text("max 100000\n")
    try:
        for share, counted in ((1, 1), (0, 1), (10_000, len(ALLOWED))):
            use_at_most(share)
            assert cores(path) == counted
    finally:
        use_at_most(None)
    assert cores(path) == len(ALLOWED)


def test_models_use_the_cores_that_a_process_is_pinned_to() -> None:
    torch = pytest.importorskip("torch")
    from workers.ranker.models import use_threads

    before = torch.get_num_threads()
    os.sched_setaffinity(0, {min(ALLOWED)})
    try:
        use_threads(0)
        assert torch.get_num_threads() == 1
    finally:
        os.sched_setaffinity(0, ALLOWED)
        torch.set_num_threads(before)


def test_what_the_processor_can_is_what_the_system_lists(tmp_path: Path) -> None:
    path = tmp_path / "cpuinfo"
    path.write_text("processor\t: 0\nflags\t\t: fpu avx2 f16c\nprocessor\t: 1\nflags\t\t: fpu\n")
    assert features(path) == {"fpu", "avx2", "f16c"}
    path.write_text("processor\t: 0\n")
    assert features(path) is None
    assert features(tmp_path / "none") is None
