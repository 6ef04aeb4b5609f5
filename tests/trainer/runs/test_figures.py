"""Where drawing leaves files."""

import os
import subprocess
import sys
from pathlib import Path

DRAW = """
import sys
from pathlib import Path
from trainer.runs.plot import Panel, plot_metrics

rows = [{"step": 1, "loss": 2.0}, {"step": 2, "loss": 1.0}]
plot_metrics(Path(sys.argv[1]), rows, [Panel("loss", ("loss",))])
"""


def draw(home: Path, **environment: str) -> None:
    """Draw a chart in a process of its own, whose home is `home`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "MPL"))}
    (home / "tmp").mkdir(parents=True, exist_ok=True)
    own = {"HOME": str(home), "TMPDIR": str(home / "tmp"), **environment}
    picture = home.parent / "a.png"
    subprocess.run([sys.executable, "-c", DRAW, str(picture)], env=kept | own, check=True)
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_a_chart_leaves_nothing_in_the_home_directory(tmp_path: Path) -> None:
    draw(tmp_path / "home")
    assert [path.name for path in (tmp_path / "home").rglob("*")] == ["tmp"]


def test_a_directory_of_the_users_own_is_used(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    draw(tmp_path / "home", MPLCONFIGDIR=str(own))
    assert list(own.iterdir())
    assert [path.name for path in (tmp_path / "home").rglob("*")] == ["tmp"]
