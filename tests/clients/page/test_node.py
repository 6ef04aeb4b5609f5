"""The Node client: its code is what the protos make, and its own tests pass against the page's service."""

import filecmp
import os
import shutil
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from engine.access import making
from tests.clients.page.conftest import Page
from tests.workers.ranker.factories import TEXTS

HERE = Path(__file__).parents[3] / "clients" / "node"
TOOLS = HERE / "node_modules" / ".bin"
pytestmark = [
    pytest.mark.skipif(shutil.which("node") is None, reason="no Node here"),
    pytest.mark.skipif(not TOOLS.is_dir(), reason="the Node client's tools are not installed: make node"),
]


def run(*command: str | Path, **variables: str) -> str:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SPR_")}
    done = subprocess.run(command, cwd=HERE, capture_output=True, text=True, env={**kept, **variables})
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_generated_code_is_the_one_that_is_committed(tmp_path: Path) -> None:
    run(sys.executable, HERE / "generate.py", tmp_path)
    committed = HERE / "src" / "generated"
    names = sorted(str(path.relative_to(committed)) for path in committed.rglob("*.ts"))
    assert names == sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.ts"))
    assert filecmp.cmpfiles(committed, tmp_path, names, shallow=False) == (names, [], [])


def test_it_searches_and_is_refused_as_the_python_client(
    page: Page, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in (tmp_path, tmp_path / "ended", tmp_path / "early"):
        making.make(folder, ["127.0.0.1"], 30, [])
    making.make(tmp_path / "ended", ["127.0.0.1"], 0)
    monkeypatch.setattr(making, "_SKEW", timedelta(hours=-1))
    making.make(tmp_path / "early", ["127.0.0.1"], 30)
    run(TOOLS / "tsc")
    of_test = {"SPR_TEST_ADDRESS": page.coordinator, "SPR_TEST_TEXT": TEXTS[0]}
    run("node", "--test", "dist/test/", SPR_TEST_ACCESS=str(tmp_path), **of_test)
    said = run("node", "examples/search.mjs", TEXTS[0], page.coordinator)
    assert said.startswith("coarse:\n  1. ")
    assert "\nrefined:\n  1. " in said
