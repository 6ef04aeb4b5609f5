"""Bytes by HTTP ranges, as a player asks for them."""

import re

from starlette.requests import Request
from starlette.responses import Response

_ONE_RANGE = re.compile(r"bytes=(\d*)-(\d*)", re.IGNORECASE)
_BYTES = re.compile(rb"\s*bytes\s*=", re.IGNORECASE)


def bytes_response(request: Request, data: bytes, media_type: str) -> Response:
    """Return all bytes, or those of a single range; 416 for one that does not exist."""
    headers = {"accept-ranges": "bytes", "cache-control": "private, no-cache"}
    asked = _ONE_RANGE.fullmatch(request.headers.get("range", "").strip())
    if asked is None or not any(asked.groups()):
        return Response(data, 200, headers, media_type)
    first, last = asked.groups()
    begin = int(first) if first else max(0, len(data) - int(last))
    end = min(int(last), len(data) - 1) if first and last else len(data) - 1
    if begin > end:
        return Response(status_code=416, headers={"content-range": f"bytes */{len(data)}"})
    headers["content-range"] = f"bytes {begin}-{end}/{len(data)}"
    return Response(data[begin : end + 1], 206, headers, media_type)


def in_bytes(request: Request) -> None:
    """Forget a Range header in other units: all is sent then (RFC 9110, 14.2), which FileResponse refuses."""
    request.scope["headers"] = [
        (name, value) for name, value in request.scope["headers"] if name != b"range" or _BYTES.match(value)
    ]
