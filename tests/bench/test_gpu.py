"""`make gpu` itself, tried on the CPU: its parts measure, its page shows them, and its time ends."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from xml.etree import ElementTree

import faiss
import numpy as np
import pytest
import torch

from bench.gpu import index, parts
from bench.gpu.page import page
from bench.gpu.suite import told
from bench.results import Setup
from bench.sizes import TINY

CPU = torch.device("cpu")
JUNIT = """<testsuites><testsuite>
<testcase classname="tests.a" name="one"/>
<testcase classname="tests.a" name="two"><failure message="no"/></testcase>
<testcase classname="tests.a" name="three"><skipped message="needs faiss-gpu and a GPU"/></testcase>
<testcase classname="" name="tests.b"><error message="collection failure">tests/b.py:1: in &lt;module&gt;
E   ModuleNotFoundError: No module named 'faiss'</error></testcase>
<testcase classname="" name="tests.c"><error message="collection failure">E   SyntaxError</error></testcase>
</testsuite></testsuites>"""


@pytest.fixture(scope="module")
def setup(tmp_path_factory: pytest.TempPathFactory) -> Setup:
    return Setup(TINY, tmp_path_factory.mktemp("bench"), threads=1)


@pytest.mark.parametrize("part", [part for part in parts.PARTS if part != "suite"])
def test_every_part_measures_something(part: str, setup: Setup) -> None:
    found = json.loads(json.dumps(parts.run_here(part, setup, CPU)))
    assert len({row["key"] for row in found["rows"]}) == len(found["rows"]) > 0
    for row in found["rows"]:
        assert np.isfinite(row["value"])
        assert row["value"] > 0


def test_the_page_shows_figures_and_why_a_part_was_not_run() -> None:
    report = parts.run("cpu", "tiny", Path("nowhere"), 1, seconds=0.0)
    assert all(stage["rows"] == [] for stage in report["stages"].values())
    row = {"key": "flat", "label": "one query", "way": "ours", "value": 0.3, "unit": "ms"}
    report["stages"]["index"] = {"rows": [{**row, "more": {"of_bandwidth": 0.85}}], "notes": ["Random."]}
    written = page(report)
    assert "| one query | 0.3 ms, 0.85 of the bandwidth |" in written
    assert "| 0.85; not measured | yes; - |" in written
    assert written.count("Not run: the time was over.") == len(parts.PARTS) - 1


def test_what_failed_and_what_was_skipped_is_told() -> None:
    outcome = told(ElementTree.fromstring(JUNIT))
    assert {row.key: row.value for row in outcome.rows} == {"passed": 1, "failed": 2, "skipped": 2}
    assert outcome.notes == [
        "FAILED tests.a::two.",
        "Skipped tests.a::three: needs faiss-gpu and a GPU.",
        "Skipped tests.b: No module named 'faiss'.",
        "FAILED tests.c.",
    ]


def test_a_part_that_lacks_something_says_so(setup: Setup) -> None:
    # FAISS for the CPU has no GPU classes, whatever the machine has.
    found = parts.run_here("index", setup, torch.device("cuda"))
    assert found == {"rows": [], "notes": ["Not run: FAISS sees no GPU: make install FLAVOUR=gpu."]}


def test_without_faiss_one_part_says_so(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "bench.gpu.index", raising=False)
    monkeypatch.setitem(sys.modules, "faiss", None)
    (note,) = parts.run_here("index", setup, CPU)["notes"]
    assert note.startswith("Not run: ")
    assert "faiss" in note


def test_without_faiss_the_tests_that_need_none_are_run(tmp_path: Path) -> None:
    (tmp_path / "faiss.py").write_text("raise ModuleNotFoundError(\"No module named 'faiss'\")")
    paths = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-m", "bench.gpu", "--device", "cpu", "--sizes", "tiny", "--part", "suite"]
    found = parts.child(["env", f"PYTHONPATH={paths}", *command, "--cache", str(tmp_path)], 1, seconds=300)
    assert [row["value"] for row in found["rows"] if row["key"] == "failed"] == [0]
    told_of = "\n".join(found["notes"])
    assert "Skipped tests.workers.index: No module named 'faiss'." in told_of
    if not torch.cuda.is_available():
        assert "Skipped tests.workers.ranker.test_on_gpu::test_contexts_are_the_same[conv]" in told_of


def test_a_part_that_takes_too_long_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    held = tmp_path / "held"
    os.mkfifo(held)
    reading = os.open(held, os.O_RDONLY | os.O_NONBLOCK)
    os.set_blocking(reading, True)
    began = time.monotonic()
    found = parts.child(["sh", "-c", f"sleep 60 > {held} & wait"], 1, seconds=1.0)
    assert found["notes"] == ["Not run: 1 s were not enough."]
    with open(reading, "rb") as file:
        assert file.read() == b""  # when nobody has it open
    assert time.monotonic() - began < 30


def test_a_run_whose_tests_were_not_run_fails(tmp_path: Path) -> None:
    out = tmp_path / "page.md"
    command = [sys.executable, "-m", "bench.gpu", "--device", "cpu", "--seconds", "0", "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Not run: the time was over." in out.read_text()


def test_originals_are_in_half_precision() -> None:
    vectors = np.eye(8, dtype=np.float32)
    part = index._part(vectors, "cpu")
    # Of these alone a device has a copy of two bytes a number.
    assert isinstance(part.index, faiss.IndexRefine)
    assert faiss.downcast_index(part.index.refine_index).sa_code_size() == 2 * 8


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is there")
def test_without_a_gpu_it_is_one_sentence(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "bench.gpu", "--out", str(tmp_path / "page.md")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "sees no GPU" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())
