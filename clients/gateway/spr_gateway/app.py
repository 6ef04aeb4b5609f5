"""The gateway: a web application that is a client of the service."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from engine.errors import (
    DeadlineExceeded,
    InvalidInput,
    Mismatch,
    NotFound,
    Overloaded,
    SprError,
    Unavailable,
)
from spr_client import SearchError
from spr_gateway import answers
from spr_gateway.downloads import Downloads
from spr_gateway.guard import Guard
from spr_gateway.judging import Judging
from spr_gateway.media import Media
from spr_gateway.searches import Searches
from spr_gateway.shelf import Shelf
from spr_gateway.uploads import Uploads
from spr_gateway.upstream import Upstream
from trainer.ingest.errors import BadVideo

PAGE = Path(__file__).with_name("static")
TIMEOUT = 90.0  # seconds of any answer but a search's; a clip takes most
TIDY = 5.0  # seconds between looks for deleted videos
_log = logging.getLogger("spr.page")
_STATUS = {
    InvalidInput: 400,
    NotFound: 404,
    Mismatch: 409,
    Overloaded: 429,
    Unavailable: 503,
    DeadlineExceeded: 504,
}
Endpoint = Callable[[Request], Awaitable[Response]]


class Gateway:
    """Searches through the coordinator, plays from the shelf. cache: bytes of pictures and clips."""

    def __init__(self, shelf: Shelf, upstream: Upstream, judging: Judging, cache: int) -> None:
        self._upstream, self._judging = upstream, judging
        self._uploads = Uploads(cache // 4)
        self._searches = Searches(upstream, shelf, self._uploads.picture)
        self._downloads = Downloads(upstream, shelf, self._uploads.picture)
        self._media = Media(shelf, cache - cache // 4)
        self._tidying = asyncio.create_task(self._tidy())

    def app(self, hosts: Sequence[str]) -> ASGIApp:
        """Return the application. hosts: what the page is called."""
        media, searches, uploads, judging = self._media, self._searches, self._uploads, self._judging
        routes = [
            Route("/api/collections", told(searches.collections)),
            Route("/api/matches", told(searches.matches)),
            Route("/api/search", told(searches.search)),
            Route("/api/explain/{video:path}", told(searches.explain)),
            Route("/api/export", told(self._downloads.export)),
            Route("/api/examples", told(uploads.add), methods=["POST"]),
            Route("/api/examples/{name}", told(uploads.show)),
            Route("/api/judgements", told(judging.judgements), methods=["GET", "POST", "DELETE"]),
            Route("/api/sets", told(judging.new_set), methods=["POST"]),
            Route("/api/sets/{name}", told(judging.one_set)),
            Route("/annotate", lambda _: FileResponse(PAGE / "index.html")),
            Route("/api/videos/{video:path}", told(media.about)),
            Route("/media/{video:path}", told(media.file)),
            Route("/clip/{video:path}", told(media.clip)),
            Route("/thumb/{video:path}", told(media.thumbnail)),
            Route("/strip/{video:path}", told(media.strip)),
            Route("/subs/{video:path}", told(media.subtitles)),
            Mount("/", StaticFiles(directory=PAGE, html=True)),
        ]
        return Guard(Starlette(routes=routes), hosts)

    async def close(self) -> None:
        """End all of it."""
        self._tidying.cancel()
        self._media.close()
        await self._upstream.close()
        await self._judging.close()

    async def _tidy(self) -> None:
        while True:
            await asyncio.sleep(TIDY)
            with contextlib.suppress(SprError, OSError):
                await asyncio.to_thread(self._media.forget_deleted)


def told(endpoint: Endpoint) -> Endpoint:
    """Answer what an endpoint refuses with a status and a sentence; nothing takes longer than TIMEOUT."""

    @wraps(endpoint)
    async def answer(request: Request) -> Response:
        try:
            async with asyncio.timeout(TIMEOUT):
                return await endpoint(request)
        except SearchError as error:
            status, about = answers.refusal(error)
            return _refused(status, about, error.retry_after)
        except BadVideo as error:
            return _refused(415, _about(f"it cannot be played: {error}", "BAD_VIDEO"))
        except SprError as error:
            status = next((code for kind, code in _STATUS.items() if isinstance(error, kind)), 500)
            return _refused(status, _about(str(error), error.reason, error.retry_after), error.retry_after)
        except TimeoutError:
            return _refused(504, _about("that took too long; ask for less", "DEADLINE_EXCEEDED"))
        except Exception as error:
            _log.error("%s failed", request.url.path, exc_info=error)
            return _refused(500, _about("something went wrong here; the service's log says what", "INTERNAL"))

    return answer


def _about(message: str, reason: str, retry_after: float | None = None) -> dict[str, Any]:
    return {"error": {"message": message, "reason": reason, "retryAfter": retry_after}}


def _refused(status: int, about: dict[str, Any], retry_after: float | None = None) -> Response:
    headers = {} if retry_after is None else {"retry-after": f"{max(1, round(retry_after))}"}
    return JSONResponse(about, status, headers)
