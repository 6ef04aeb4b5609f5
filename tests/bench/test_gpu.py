"""`make gpu` itself, tried on the CPU: its parts measure, its page shows them, and its time ends."""

import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import torch

from bench.gpu import parts
from bench.gpu.page import page
from bench.gpu.suite import told
from bench.results import Setup
from bench.sizes import TINY

CPU = torch.device("cpu")
JUNIT = """<testsuites><testsuite>
<testcase classname="tests.a" name="one"/>
<testcase classname="tests.a" name="two"><failure message="no"/></testcase>
<testcase classname="tests.a" name="three"><skipped message="needs faiss-gpu and a GPU"/></testcase>
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
    assert {row.key: row.value for row in outcome.rows} == {"passed": 1, "failed": 1, "skipped": 1}
    assert outcome.notes == ["FAILED tests.a::two.", "Skipped tests.a::three: needs faiss-gpu and a GPU."]


def test_a_part_that_lacks_something_says_so(setup: Setup) -> None:
    # FAISS for the CPU has no GPU classes, whatever the machine has.
    found = parts.run_here("index", setup, torch.device("cuda"))
    assert found == {"rows": [], "notes": ["Not run: FAISS sees no GPU: make install FLAVOUR=gpu."]}


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is there")
def test_without_a_gpu_it_is_one_sentence(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "bench.gpu", "--out", str(tmp_path / "page.md")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "sees no GPU" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())
