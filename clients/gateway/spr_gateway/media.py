"""Pictures, clips, subtitles and files of videos."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from functools import partial, wraps
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response

from engine.printable import in_utf8
from spr_gateway import asked, clips, pictures, probing, speech
from spr_gateway.keep import Keep, Sized
from spr_gateway.ranges import bytes_response, in_bytes
from spr_gateway.shelf import Shelf, Video
from trainer.ingest.tiles import EDGE, Tiles

SIZES = (120, 240, 480)  # short sides of a thumbnail
MOST_SHOTS = 24
FRESH = {"cache-control": "private, no-cache"}  # kept, and asked for each time whether it is the same
CLIP = 4.0  # seconds around a clip's span, so that one can look before and after


def _of_the_file(
    answer: Callable[["Media", Request, Video], Awaitable[Response]],
) -> Callable[["Media", Request], Awaitable[Response]]:
    """Make an endpoint of what the video's file alone decides: 304 for whom has it, until the file changes.

    Another file may be added under the id of one that was shown.
    """

    @wraps(answer)
    async def endpoint(self: "Media", request: Request) -> Response:
        video = await self._video(request)
        headers = {**FRESH, "etag": '"{2:x}-{3:x}"'.format(*video.stamp)}
        if request.headers.get("if-none-match") == headers["etag"]:
            return Response(status_code=304, headers=headers)
        response = await answer(self, request, video)
        response.headers.update(headers)
        return response

    return endpoint


class Media:
    """Endpoints about one video, named by its id and its collection. cache: bytes of what is made."""

    def __init__(self, shelf: Shelf, cache: int) -> None:
        self._shelf = shelf
        self._pictures: Keep[Any] = Keep(cache // 2, 2)
        # Clips take seconds: pictures do not wait behind them.
        self._clips: Keep[clips.Clip] = Keep(cache // 2, 1, waiting=8)

    async def about(self, request: Request) -> Response:
        """Say what a video is, how it is played, and what is said and written in it."""
        video = await self._video(request)
        probe = await self._made(video, "probe", partial(probing.probe, video.path))
        said = await self._said(video)
        return JSONResponse(
            {
                "video": video.id,
                "collection": video.collection,
                "file": in_utf8(video.path.name),
                "duration": video.duration,
                "width": probe.width,
                "height": probe.height,
                "play": {"how": probe.how, "why": probe.why},
                "cues": [[round(cue.start, 2), round(cue.end, 2), cue.text] for cue in said.cues],
                "written": [
                    [round(line.start, 2), round(line.end, 2), line.text, line.box] for line in said.written
                ],
            }
        )

    @_of_the_file
    async def file(self, request: Request, video: Video) -> Response:
        """Send the file itself, or the part of it that a Range header asks for."""
        in_bytes(request)
        probe = await self._made(video, "probe", partial(probing.probe, video.path))
        return FileResponse(video.path, media_type=probe.mime, content_disposition_type="inline")

    async def clip(self, request: Request) -> Response:
        """Send a span as an MP4 that browsers play; with `about`, say where its first second lies."""
        video, (start, end) = await self._video(request), asked.span(request)
        begin, until = max(0.0, start - CLIP), min(video.duration, end + CLIP)
        cut = partial(clips.cut, video.path, begin, until)
        made = await self._clips.get((video.collection, video.id), (video.stamp, begin, until), cut)
        if "about" not in request.query_params:
            return bytes_response(request, made.data, "video/mp4")
        about = f"collection={quote(video.collection, safe='')}&start={start:g}&end={end:g}"
        where = f"/clip/{quote(video.id, safe='')}?{about}"
        return JSONResponse(
            {"url": where, "offset": made.offset, "how": made.probe.how, "why": made.probe.why}
        )

    @_of_the_file
    async def thumbnail(self, request: Request, video: Video) -> Response:
        """Send the frame at a time."""
        seconds = asked.number(request, "t", 0.0, 1e6)
        wanted = asked.number(request, "size", 1, SIZES[-1], SIZES[1])
        if wanted <= EDGE and (kept := (await self._tiles(video)).at(seconds)) is not None:
            return Response(kept, media_type="image/jpeg")
        edge = next(size for size in SIZES if size >= wanted)
        # Tenths: a moment that is refined by less keeps its picture.
        at = round(min(seconds, max(0.0, video.duration - 0.1)), 1)
        make = partial(pictures.thumbnail, video.path, at, edge)
        return Response((await self._made(video, ("t", at, edge), make)).data, media_type="image/jpeg")

    @_of_the_file
    async def strip(self, request: Request, video: Video) -> Response:
        """Send frames of a span side by side."""
        start, end = asked.span(request)
        count = int(asked.number(request, "n", 1, MOST_SHOTS, 10))
        end = min(end, video.duration)
        times = tuple(round(start + (end - start) * (k + 0.5) / count, 1) for k in range(count))
        tiles = await self._tiles(video)
        kept = [data for at in times if (data := tiles.at(at)) is not None]
        if len(kept) == len(times):
            make = partial(pictures.joined, kept)
        else:
            make = partial(pictures.strip, video.path, times, SIZES[0])
        return Response((await self._made(video, ("s", *times), make)).data, media_type="image/jpeg")

    async def subtitles(self, request: Request) -> Response:
        """Send what is said as WebVTT."""
        said = await self._said(await self._video(request))
        return Response(said.vtt(), 200, FRESH, "text/vtt")

    def forget_deleted(self) -> None:
        """Drop what is kept of videos that are no more in their collections."""
        for keep in (self._pictures, self._clips):
            keep.forget(lambda owner: self._shelf.holds(*owner))

    def close(self) -> None:
        """Make nothing more."""
        self._pictures.close()
        self._clips.close()

    async def _video(self, request: Request) -> Video:
        return await asyncio.to_thread(
            self._shelf.find, asked.collection(request), request.path_params["video"]
        )

    async def _tiles(self, video: Video) -> Tiles:
        """Return the pictures that were made when the video was ingested."""
        made: Tiles = await self._made(video, "tiles", partial(Tiles.open, video.home, video.path))
        return made

    async def _said(self, video: Video) -> speech.Speech:
        made: speech.Speech = await self._made(
            video, ("said", video.version), partial(speech.of, self._shelf, video)
        )
        return made

    async def _made(self, video: Video, what: Hashable, make: Callable[[], Sized]) -> Any:
        return await self._pictures.get((video.collection, video.id), (video.stamp, what), make)
