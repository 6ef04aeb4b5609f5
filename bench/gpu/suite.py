"""The tests that need a GPU."""

import re
import subprocess
import sys
import tempfile
from pathlib import Path
from xml.etree import ElementTree

import torch

from bench.results import Figure, Outcome, Setup
from engine.errors import Unavailable

_MARK = "@needs_gpu"
_MISSING = re.compile(r"ModuleNotFoundError: (No module named '\w+')")


def run(setup: Setup, device: torch.device) -> Outcome:
    """Run them in a process of their own; what failed, and what was skipped and why, are notes."""
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder, "results.xml")
        command = [sys.executable, "-m", "pytest", *_roots(), "-q", "-m", "gpu", f"--junitxml={results}"]
        command.append("--continue-on-collection-errors")
        done = subprocess.run(command, stdout=sys.stderr, check=False)
        if not results.is_file():
            raise Unavailable(f"pytest ended with exit code {done.returncode} before any test", "NO_TESTS")
        return told(ElementTree.parse(results).getroot())


def _roots() -> list[str]:
    """Return the folders right below `tests` with tests of a GPU: collecting all takes half a minute.

    Not their files: of those pytest loads what they share first, and ends where it cannot.
    """
    files = (file for file in Path("tests").rglob("test_*.py") if _MARK in file.read_text(encoding="utf-8"))
    return sorted({str(Path(*file.parts[:2])) for file in files})


def told(results: ElementTree.Element) -> Outcome:
    """Return how many tests passed, failed and were skipped, of pytest's JUnit file.

    A file whose tests could not be collected counts as one: skipped where a package is not installed.
    """
    failed, skipped, passed, notes = 0, 0, 0, []
    for case in results.iter("testcase"):
        name = "::".join(filter(None, (case.get("classname"), case.get("name"))))
        if missing := _MISSING.search(case.findtext("error", "")):
            skipped += 1
            notes.append(f"Skipped {name}: {missing[1]}.")
        elif case.find("failure") is not None or case.find("error") is not None:
            failed += 1
            notes.append(f"FAILED {name}.")
        elif (reason := case.find("skipped")) is not None:
            skipped += 1
            notes.append(f"Skipped {name}: {reason.get('message')}.")
        else:
            passed += 1
    counts = {"passed": passed, "failed": failed, "skipped": skipped}
    return Outcome([Figure(key, key, "ours", count, "tests") for key, count in counts.items()], notes)
