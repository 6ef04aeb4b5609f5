"""Where drawing leaves files."""

import os
import sys
import tempfile
from pathlib import Path

from tests.forked import Supervisor
from trainer.runs.plot import Panel, plot_metrics


def draw(home: Path, **environment: str) -> None:
    """Draw a chart in a process of its own, whose home is `home`."""
    (home / "tmp").mkdir(parents=True, exist_ok=True)
    own = {"HOME": str(home), "TMPDIR": str(home / "tmp"), **environment}
    picture, log = home.parent / "a.png", home.parent / "log"
    given = [f"{name}={value}" for name, value in own.items()]
    with Supervisor(log, str(picture), *given, main=_draw) as drawn:
        assert drawn.wait(timeout=300) == 0, log.read_text()
    assert picture.read_bytes().startswith(b"\x89PNG")


def _draw(picture: str, *own: str) -> None:
    assert "matplotlib" not in sys.modules, "it has chosen its directories already"
    for name in [name for name in os.environ if name.startswith(("XDG_", "MPL"))]:
        del os.environ[name]
    os.environ.update({name: value for name, _, value in (one.partition("=") for one in own)})
    tempfile.tempdir = None  # the fork server's
    rows = [{"step": 1, "loss": 2.0}, {"step": 2, "loss": 1.0}]
    plot_metrics(Path(picture), rows, [Panel("loss", ("loss",))])


def test_a_chart_leaves_nothing_in_the_home_directory(tmp_path: Path) -> None:
    draw(tmp_path / "home")
    assert [path.name for path in (tmp_path / "home").rglob("*")] == ["tmp"]


def test_a_directory_of_the_users_own_is_used(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    draw(tmp_path / "home", MPLCONFIGDIR=str(own))
    assert list(own.iterdir())
    assert [path.name for path in (tmp_path / "home").rglob("*")] == ["tmp"]
