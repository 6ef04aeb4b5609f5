"""Answers as HTML, for notebooks."""

import base64
import time
from collections.abc import Iterable
from html import escape
from http.client import HTTPException
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode
from urllib.request import urlopen

if TYPE_CHECKING:
    from spr_client.types import Moment, SearchResult

PICTURES = 12  # moments with a thumbnail
PATIENCE = 3.0  # seconds for all thumbnails
LARGEST = 1 << 18  # bytes of one


def link(page: str, moment: "Moment", collection: str, query: str = "") -> str:
    """Return the address of the web page at `page` that plays a moment."""
    place = {"q": query, "c": collection, "v": moment.video, "at": f"{moment.start:.2f}-{moment.end:.2f}"}
    return f"{page.rstrip('/')}/?{urlencode({name: value for name, value in place.items() if value})}"


def table(result: "SearchResult", page: str = "") -> str:
    """Return an answer as an HTML table; with the page's address moments have thumbnails and are links."""
    from spr_client.types import clock

    page = page if page.startswith(("http://", "https://")) else ""
    ends = time.monotonic() + PATIENCE
    rows = []
    for number, moment in enumerate(result.moments):
        picture = _picture(page, moment, result.collection, ends) if page and number < PICTURES else ""
        span = f"{clock(moment.start)}\u2013{clock(moment.end)}"
        shown = escape(f"{moment.video} {span}")
        if page:
            shown = f'<a href="{escape(link(page, moment, result.collection))}" target="_blank">{shown}</a>'
        sure = "" if moment.confidence is None else f"{moment.confidence:.0%}"
        rows.append((str(moment.rank), *[picture] * bool(page), shown, f"{moment.score:.3f}", sure))
    heads = ("", *[""] * bool(page), "moment", "score", "sure")
    body = "".join(_row("td", row) for row in rows)
    told = f"{len(rows)} of {result.total} moments"
    if result.coverage.degraded:
        told += f"; not everything was searched: {escape(', '.join(result.coverage.degraded))}"
    if result.no_confident_match:
        told += "; no confident match"
    return f"<table>{_row('th', heads)}{body}</table><p>{told}</p>"


def _row(kind: str, cells: Iterable[str]) -> str:
    return f"<tr>{''.join(f'<{kind}>{cell}</{kind}>' for cell in cells)}</tr>"


def thumbnail(page: str, moment: "Moment", collection: str, ends: float, size: int = 120) -> bytes:
    """Return the JPEG of a moment's best second from the web page at `page`; empty where that gives none.

    ends: until when it has to be there, of time.monotonic. size: pixels of its longer side.
    """
    left = ends - time.monotonic()
    if left <= 0:
        return b""
    second = (moment.start + moment.end) / 2 if moment.best is None else moment.best
    asked = urlencode({"collection": collection, "t": f"{second:.1f}", "size": size})
    try:
        with urlopen(f"{page.rstrip('/')}/thumb/{quote(moment.video)}?{asked}", timeout=left) as reply:
            return bytes(reply.read(LARGEST))
    except (OSError, HTTPException, ValueError):
        return b""


def _picture(page: str, moment: "Moment", collection: str, ends: float) -> str:
    """Return a thumbnail within the HTML itself: the page lets no other site show its pictures."""
    data = thumbnail(page, moment, collection, ends)
    if not data:
        return ""
    return f'<img alt="" src="data:image/jpeg;base64,{base64.b64encode(data).decode()}">'
