"""How many cores a process counts, when it is pinned and when its container has a share."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from engine.cores import choose_kernels, cores, features, use_at_most

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


def test_fast_kernels_are_chosen_where_openblas_would_choose_slow_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "cpuinfo"
    for flags, before, chosen in (
        ("avx2 avx512f", None, None),
        ("avx512f avx512_bf16", None, "SkylakeX"),
        ("avx512f avx512_bf16", "Haswell", "Haswell"),
    ):
        path.write_text(f"flags : {flags}\n")
        monkeypatch.delenv("OPENBLAS_CORETYPE", raising=False)
        if before:
            monkeypatch.setenv("OPENBLAS_CORETYPE", before)
        choose_kernels(path)
        assert os.environ.get("OPENBLAS_CORETYPE") == chosen


@pytest.mark.parametrize("package", ["workers.index", "trainer.generation"])
def test_kernels_are_chosen_before_faiss_loads(package: str) -> None:
    tells = "print(os.environ.get('OPENBLAS_CORETYPE'), 'faiss' in sys.modules)"
    environment = {name: value for name, value in os.environ.items() if name != "OPENBLAS_CORETYPE"}
    command = [sys.executable, "-c", f"import os, sys, {package}; {tells}"]
    environment["PYTHONPATH"] = os.pathsep.join(sys.path)
    told = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    wanted = "SkylakeX" if "avx512_bf16" in (features() or ()) else None
    assert told == f"{wanted} False\n"
