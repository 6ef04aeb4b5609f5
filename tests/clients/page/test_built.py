"""The committed page is what its sources make."""

import filecmp
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SOURCES, BUILT = ROOT / "clients" / "web", ROOT / "clients" / "gateway" / "spr_gateway" / "static"
TOOLS = SOURCES / "node_modules" / ".bin"


@pytest.mark.skipif(shutil.which("node") is None, reason="no Node here")
@pytest.mark.skipif(not TOOLS.is_dir(), reason="the page's tools are not installed: make page")
def test_the_built_page_is_the_one_that_is_committed(tmp_path: Path) -> None:
    for command in (["vitest", "run"], ["tsc", "--noEmit"], ["vite", "build", "--outDir", str(tmp_path)]):
        done = subprocess.run([TOOLS / command[0], *command[1:]], cwd=SOURCES, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    names = sorted(path.name for path in BUILT.iterdir())
    assert names == sorted(path.name for path in tmp_path.iterdir())
    assert filecmp.cmpfiles(BUILT, tmp_path, names, shallow=False) == (names, [], [])
