"""Pictures that people search by: kept in memory under a hash of their bytes, the oldest go first."""

import hashlib
import io

from cachetools import LRUCache
from PIL import Image
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from engine.errors import InvalidInput, NotFound

MOST_BYTES = 1 << 20  # of one; the page sends them scaled down
MOST_EDGE = 4096
KINDS = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp"}


class Uploads:
    """Endpoints of uploaded pictures. limit: bytes of all that are kept. Belongs to one event loop."""

    def __init__(self, limit: int) -> None:
        self._kept: LRUCache[str, bytes] = LRUCache(limit, getsizeof=len)

    def picture(self, name: str) -> bytes:
        """Return the bytes of one; NotFound where it is no longer kept."""
        data = self._kept.get(name)
        if data is None:
            raise NotFound(
                "a picture of this query is no longer kept by the page; add it again", "EXAMPLE_GONE"
            )
        return data

    async def add(self, request: Request) -> Response:
        """Keep a picture; tell its id."""
        # Other sites' scripts may not send these types without asking first.
        if request.headers.get("content-type", "") not in KINDS.values():
            raise InvalidInput("a picture is sent as image/jpeg, image/png or image/webp", "BAD_PICTURE")
        data = bytearray()
        async for chunk in request.stream():
            data += chunk
            if len(data) > MOST_BYTES:
                message = f"the picture has more than {MOST_BYTES >> 10} KiB; send a smaller one"
                raise InvalidInput(message, "BAD_PICTURE")
        _check(bytes(data))
        name = hashlib.sha256(data).hexdigest()[:32]
        self._kept[name] = bytes(data)
        return JSONResponse({"id": name}, 201)

    async def show(self, request: Request) -> Response:
        """Send a picture back."""
        data = self.picture(request.path_params["name"])
        kind = Image.open(io.BytesIO(data), formats=list(KINDS)).format or "JPEG"
        return Response(data, 200, {"cache-control": "private, max-age=3600"}, KINDS[kind])


def _check(data: bytes) -> None:
    try:
        with Image.open(io.BytesIO(data), formats=list(KINDS)) as image:
            small = max(image.size) <= MOST_EDGE
            if small:
                image.load()
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        raise InvalidInput("this is no JPEG, PNG or WebP picture that can be read", "BAD_PICTURE") from None
    if not small:
        raise InvalidInput(f"the picture is wider or higher than {MOST_EDGE} pixels", "BAD_PICTURE")
