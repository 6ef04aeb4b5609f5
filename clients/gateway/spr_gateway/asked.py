"""What a request asks for, checked: every number has bounds, and nothing of it becomes a path."""

import asyncio
import math

from starlette.requests import Request

from engine.errors import InvalidInput
from spr_client import Clip, Part
from trainer.ingest.limits import MOST_ROWS
from workers.pictures import sendable

LONGEST_QUERY = 1000
MOST_UPLOADED = 16 << 20
# One takes 100 MB at most.
_SHRINKING = asyncio.Semaphore(2)


def text(request: Request) -> str:
    """Return the query's words."""
    words = request.query_params.get("q", "").strip()
    if not words:
        raise InvalidInput("the query is empty; write what the moment shows", "QUERY_EMPTY")
    if len(words) > LONGEST_QUERY:
        raise InvalidInput(f"the query has {len(words)} characters; write at most {LONGEST_QUERY}")
    return words


async def query(request: Request) -> str | Part:
    """Return what is asked: words (q), a picture (the body of a POST), a span of a video (like, start, end).

    At least one of them; InvalidInput for a body that is no picture.
    """
    pictures = [await _picture(request)] if request.method == "POST" else []
    like = []
    if video := request.query_params.get("like", ""):
        like.append(Clip(video, *span(request)))
    if not pictures and not like:
        return text(request)
    return Part(text(request) if request.query_params.get("q", "").strip() else "", pictures, like)


async def _picture(request: Request) -> bytes:
    """Return a request's body, a smaller picture in place of a large one."""
    data = bytearray()
    async for piece in request.stream():
        data += piece
        if len(data) > MOST_UPLOADED:
            raise InvalidInput(f"the picture has more than {MOST_UPLOADED >> 20} MiB; send a smaller one")
    if not data:
        raise InvalidInput("the picture is empty; send a JPEG, PNG or WebP file as the body")
    async with _SHRINKING:
        return await asyncio.to_thread(sendable, bytes(data))


def collection(request: Request) -> str:
    """Return the name of a collection, "" for the first."""
    return request.query_params.get("collection", "")


def number(request: Request, name: str, low: float, high: float, default: float | None = None) -> float:
    """Return a number of the query string; InvalidInput unless it lies in low..high."""
    given = request.query_params.get(name, "")
    try:
        value = float(given) if given or default is None else default
    except ValueError:
        value = math.nan
    # Written so that NaN fails.
    if not low <= value <= high:
        raise InvalidInput(f"{name} is {given[:40]!r}; it must be a number from {low:g} to {high:g}")
    return value


def span(request: Request) -> tuple[float, float]:
    """Return start and end in seconds."""
    start, end = (number(request, name, 0.0, MOST_ROWS) for name in ("start", "end"))
    if end <= start:
        raise InvalidInput(f"end is {end:g}; it must be above start, {start:g}")
    return start, end
