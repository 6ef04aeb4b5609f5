"""`spr open`: the web page, in a browser or as an address."""

import os
import sys
from urllib.parse import urlencode

import click

from spr_cli.options import AS_JSON, PAGE, WORDS

# Seconds until the page has to answer.
_PATIENCE = 5.0


@click.command()
@click.argument("text", type=WORDS, default="")
@PAGE
@click.option("--collection", type=WORDS, default="", help="Its name.  [default: the first]")
@click.option("--print", "only_print", is_flag=True, help="Print the address; open nothing.")
@AS_JSON
def command(text: str, page: str, collection: str, only_print: bool, as_json: bool) -> None:
    """Open the web page of a running service, with the answer to TEXT where that is given.

    Where there is no browser, as over SSH, it prints the address.

    \b
    spr open
    spr open "a man drops his coffee"
    spr open "a goal" --page http://127.0.0.1:8000 --print
    """
    from spr_cli.output import print_json

    place = {name: value for name, value in (("q", text), ("c", collection)) if value}
    address = f"{page.rstrip('/')}/{'?' if place else ''}{urlencode(place)}"
    _check(page)
    opened = not only_print and not as_json and _open(address)
    if as_json:
        print_json({"page": address})
    else:
        click.echo(f"opened {address}" if opened else address)


def _check(page: str) -> None:
    """Raise Unavailable where no page answers."""
    from http.client import HTTPException
    from urllib.request import Request, urlopen

    from engine.errors import Unavailable
    from spr_cli.reaching import why_not

    try:
        with urlopen(Request(page, method="HEAD"), timeout=_PATIENCE):
            return
    except (OSError, HTTPException, ValueError) as error:
        why = why_not(error)
    raise Unavailable(
        f"No page answers at {page} ({why}); start it with `spr serve`, or give --page what that printed."
    )


def _open(address: str) -> bool:
    """Open a browser with a window of its own; False where there is none."""
    import webbrowser

    seen = sys.platform != "linux" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    try:
        # Without a display a browser would be one of text, in this terminal.
        return bool(seen) and webbrowser.open(address)
    except webbrowser.Error:
        return False
