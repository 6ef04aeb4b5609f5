"""Thumbnails of moments in terminals that show pictures: kitty's protocol and iTerm2's."""

import base64
import io
import os
import sys
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import click

from spr_cli.options import PAGE

if TYPE_CHECKING:
    from spr_client import SearchResult

Command = TypeVar("Command", bound=Callable[..., Any])
ROWS = 6  # lines of text that a picture takes
SIZE = 320  # pixels of its longer side
PATIENCE = 5.0  # seconds for all pictures
_CHUNK = 4096  # bytes that kitty reads at once


def options(command: Command) -> Command:
    """Give a command the options of what is shown."""
    told = "Show thumbnails, in terminals that can (kitty, iTerm2)."
    return click.option("--pictures", is_flag=True, help=told)(PAGE(command))


def chosen(given: dict[str, Any], as_json: bool) -> "Callable[[SearchResult], None]":
    """Take these options out of `given`; return what shows an answer's pictures, if that is asked for."""
    page, pictures = str(given.pop("page")), given.pop("pictures")
    return lambda found: show(found, page) if pictures and not as_json else None


def protocol(variables: Mapping[str, str]) -> str:
    """Return which protocol the terminal that set these variables speaks: "kitty", "iterm2" or ""."""
    term, program = variables.get("TERM", ""), variables.get("TERM_PROGRAM", "")
    if variables.get("TMUX") or term.startswith(("screen", "tmux")):
        return ""  # it passes pictures on only where it is set so
    if "KITTY_WINDOW_ID" in variables or term in ("xterm-kitty", "xterm-ghostty") or program == "ghostty":
        return "kitty"
    return "iterm2" if program in ("iTerm.app", "WezTerm", "mintty", "rio") else ""


def show(found: "SearchResult", page: str) -> None:
    """Print a thumbnail of every moment; a sentence on stderr where that cannot be done."""
    from engine.printable import printable
    from spr_client import clock
    from spr_client.display import thumbnail

    spoken = protocol(os.environ) if sys.stdout.isatty() else ""
    if not spoken:
        _say("this is no terminal that shows pictures, as kitty, iTerm2 and WezTerm do; see `spr open`")
        return
    ends = time.monotonic() + PATIENCE
    for moment in found.moments:
        picture = thumbnail(page, moment, found.collection, ends, SIZE)
        if not picture:
            _say(f"no picture comes from {page}; start the page with `spr serve`, or name it with --page")
            return
        said = f"{moment.rank}. {printable(moment.video)} {clock(moment.start)}-{clock(moment.end)}"
        click.echo(f"{said}\n{escape(picture, spoken)}")


def escape(picture: bytes, spoken: str) -> str:
    """Return what has a terminal draw a JPEG, `ROWS` lines high."""
    if spoken == "iterm2":
        data = base64.b64encode(picture).decode()
        told = f"inline=1;size={len(picture)};height={ROWS};preserveAspectRatio=1"
        return f"\x1b]1337;File={told}:{data}\a"
    data = base64.b64encode(_png(picture)).decode()
    parts = [data[first : first + _CHUNK] for first in range(0, len(data), _CHUNK)]
    # a=T: show at once; f=100: a PNG; q=2: answer nothing; m=1: more follows.
    heads = [f"a=T,f=100,q=2,r={ROWS},", *[""] * (len(parts) - 1)]
    more = [1] * (len(parts) - 1) + [0]
    return "".join(
        f"\x1b_G{head}m={follows};{part}\x1b\\"
        for head, follows, part in zip(heads, more, parts, strict=True)
    )


def _png(picture: bytes) -> bytes:
    """Return a JPEG as PNG, the only packed kind that kitty takes."""
    from PIL import Image

    out = io.BytesIO()
    with Image.open(io.BytesIO(picture)) as image:
        image.save(out, "PNG")
    return out.getvalue()


def _say(sentence: str) -> None:
    click.echo(f"spr: {sentence}", err=True)
