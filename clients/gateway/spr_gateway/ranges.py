"""Bytes in memory by HTTP ranges, as a player asks for them."""

import re

from starlette.requests import Request
from starlette.responses import Response

_ONE_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


def bytes_response(request: Request, data: bytes, media_type: str) -> Response:
    """Return all bytes, or those of a single range; 416 for one that does not exist."""
    headers = {"accept-ranges": "bytes", "cache-control": "private, max-age=600"}
    asked = _ONE_RANGE.fullmatch(request.headers.get("range", "").strip())
    if asked is None or asked.group(0) == "bytes=-":
        return Response(data, 200, headers, media_type)
    first, last = asked.groups()
    begin = int(first) if first else max(0, len(data) - int(last))
    end = min(int(last), len(data) - 1) if first and last else len(data) - 1
    if begin > end:
        return Response(status_code=416, headers={"content-range": f"bytes */{len(data)}"})
    headers["content-range"] = f"bytes {begin}-{end}/{len(data)}"
    return Response(data[begin : end + 1], 206, headers, media_type)
