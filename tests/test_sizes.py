import sys
from pathlib import Path

import pytest

from tests import sizes


def test_what_is_too_long_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    body = "    x = 0\n"
    files = {
        "a/fine.py": "@decorated\n" * 60 + "def f():\n" + body * 39,
        "a/long.py": "\n\nasync def f():\n" + body * 40,
        "a/module.py": "x = 0\n" * 251,
        "a/made_pb2.py": "x = 0\n" * 251,
        "tests/test_a.py": "def f():\n" + body * 60,
        "tests/test_b.py": "x = 0\n" * 251,
        ".venv/x.py": "x = 0\n" * 251,
        "build/x.py": "x = 0\n" * 251,
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(sys, "argv", ["sizes", str(tmp_path)])
    assert sizes.main() == 0
    assert capsys.readouterr().out.splitlines() == [
        "a/long.py:3: f has 41 lines",
        "a/module.py: 251 lines",
        "tests/test_a.py:1: f has 61 lines",
        "tests/test_b.py: 251 lines",
        "sizes: 5 modules; 4 too long (a module has at most 250 lines, a function 40)",
    ]
    monkeypatch.setattr(sys, "argv", ["sizes", "--strict", str(tmp_path)])
    assert sizes.main() == 1
    for name in ("a/long.py", "a/module.py", "tests/test_a.py", "tests/test_b.py"):
        (tmp_path / name).unlink()
    assert sizes.main() == 0
