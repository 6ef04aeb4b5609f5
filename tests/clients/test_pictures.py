"""Thumbnails in terminals, and how far a long command is."""

import base64
import io
import re
import sys

import pytest
from PIL import Image

from spr_cli.progress import Progress
from spr_cli.search_pictures import ROWS, escape, protocol


@pytest.fixture(scope="module")
def picture() -> bytes:
    out = io.BytesIO()
    Image.effect_noise((96, 64), 90).convert("RGB").save(out, "JPEG", quality=95)
    return out.getvalue()


@pytest.mark.parametrize(
    ("variables", "spoken"),
    [
        ({"TERM": "xterm-kitty"}, "kitty"),
        ({"TERM": "xterm-256color", "KITTY_WINDOW_ID": "1"}, "kitty"),
        ({"TERM": "xterm-ghostty"}, "kitty"),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "iTerm.app"}, "iterm2"),
        ({"TERM_PROGRAM": "WezTerm"}, "iterm2"),
        ({"TERM": "xterm-256color"}, ""),
        ({"TERM": "screen-256color", "TERM_PROGRAM": "iTerm.app"}, ""),
        ({"TERM": "xterm-kitty", "TMUX": "/tmp/tmux"}, ""),
        ({}, ""),
    ],
)
def test_terminals_are_known_by_their_variables(variables: dict[str, str], spoken: str) -> None:
    assert protocol(variables) == spoken


def test_kitty_gets_a_png_in_pieces(picture: bytes) -> None:
    text = escape(picture, "kitty")
    parts = re.findall(r"\x1b_G([^;]*);([^\x1b]*)\x1b\\", text)
    assert "".join(f"\x1b_G{head};{data}\x1b\\" for head, data in parts) == text
    assert len(parts) > 1
    assert [head.rpartition("m=")[2] for head, _ in parts] == ["1"] * (len(parts) - 1) + ["0"]
    assert f"r={ROWS}" in parts[0][0]
    assert all(len(data) <= 4096 for _, data in parts)
    with Image.open(io.BytesIO(base64.b64decode("".join(data for _, data in parts)))) as image:
        assert (image.format, image.size) == ("PNG", (96, 64))


def test_iterm2_gets_the_jpeg_as_it_is(picture: bytes) -> None:
    found = re.fullmatch(r"\x1b\]1337;File=inline=1;size=(\d+);[^:]*:([^\a]*)\a", escape(picture, "iterm2"))
    assert found
    assert base64.b64decode(found[2]) == picture
    assert int(found[1]) == len(picture)


def test_progress_tells_rate_and_time_left(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    now = iter([10.0, 10.0, 14.0, 15.0, 15.0])
    with Progress(silent=False, clock=lambda: next(now)) as progress:
        progress.tell("copy", 0, 10)
        progress.tell("copy", 2, 10)
        progress.tell("check", 3, 3)
    said = capsys.readouterr().err.replace("\r\033[K", "\n").split("\n")
    assert said == ["", "copy 0%", "copy 20%, 0.5/s, 16 s left", "check 100%", ""]
