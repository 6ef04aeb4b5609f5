"""Moments of an answer as files to keep: tables, timelines of editors, clips."""

import asyncio
import dataclasses
import io
import json
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from engine.errors import InvalidInput, NotFound, Overloaded
from engine.printable import in_utf8
from spr.v1 import search_service_pb2 as pb
from spr_client import Moment, SearchResult
from spr_client.translate import result_from_pb
from spr_gateway import asked, queries
from spr_gateway.exports.clipping import save_clips
from spr_gateway.exports.excerpts import Excerpt, excerpts
from spr_gateway.exports.saving import OF_FRAMES, OF_SECONDS, file_names
from spr_gateway.shelf import Shelf
from spr_gateway.upstream import Upstream
from trainer.ingest.naming import local_path

MOST_MOMENTS = 500
PAGE = 100
NEAR = 0.02  # seconds by which a moment that was chosen may be off: addresses have hundredths
LONGEST_CLIPS = 600.0  # seconds of all clips together
LEFT_OUT = "x-spr-left-out"  # header: moments that the file lacks, as theirs cannot be read
SUFFIXES = {"fcp7xml": "xml"}
KINDS = {
    "csv": "text/csv",
    "json": "application/json",
    "vtt": "text/vtt",
    "otio": "application/json",
    "xml": "application/xml",
    "fcpxml": "application/xml",
    "edl": "text/plain",
    "zip": "application/zip",
    "mp4": "video/mp4",
}


class Downloads:
    """Asks for an answer again, and writes the moments of it that were chosen."""

    def __init__(self, upstream: Upstream, shelf: Shelf, picture: queries.Picture) -> None:
        self._upstream, self._shelf, self._picture = upstream, shelf, picture
        self._cutting = asyncio.Semaphore(1)

    async def export(self, request: Request) -> Response:
        """Send a file of the format asked for; with several videos a zip where it is a file a video."""
        form, query = request.query_params.get("format", ""), queries.title(request.query_params)
        if form not in (*OF_SECONDS, *OF_FRAMES, "clips"):
            known = ", ".join((*OF_SECONDS, *OF_FRAMES, "clips"))
            raise InvalidInput(f"format is {form[:40]!r}; it must be one of {known}")
        found = await self._chosen(request)
        if form in OF_SECONDS:
            text = OF_SECONDS[form](query, found)
            return _file(text, SUFFIXES.get(form, form))
        cuts, away = await asyncio.to_thread(self._excerpts, found)
        if not cuts:
            raise NotFound(away[0] if away else "the answer has no moments to write", "NO_FILE")
        if form in OF_FRAMES:
            sent = _file(OF_FRAMES[form](query, [_told(cut) for cut in cuts]), SUFFIXES.get(form, form))
            written = len(cuts)
        else:
            sent, written = await self._clips(query, found, cuts)
        sent.headers[LEFT_OUT] = str(len(found.moments) - written)
        return sent

    async def _chosen(self, request: Request) -> SearchResult:
        """Return the answer with the moments of `pick` alone, or with the first of `count`."""
        given = request.query_params
        picks = asked.spans(given, "pick", MOST_MOMENTS)
        count = int(asked.number(given, "count", 1, MOST_MOMENTS, 24))
        found = result_from_pb(await self._upstream.page(queries.request_of(given, self._picture, PAGE)))
        moments, token = list(found.moments), found.next_page
        while token and len(moments) < MOST_MOMENTS and (picks or len(moments) < count):
            more = pb.SearchRequest(collection=asked.collection(request), page_token=token, page_size=PAGE)
            page = result_from_pb(await self._upstream.page(more))
            moments, token = [*moments, *page.moments], page.next_page
        kept = [one for one in moments if any(_same(one, *pick) for pick in picks)]
        if len(kept) < len(picks):
            message = "the answer has changed since the moments were chosen; search again"
            raise NotFound(message, "MOMENTS_CHANGED")
        return dataclasses.replace(found, moments=tuple(kept if picks else moments[:count]))

    def _excerpts(self, found: SearchResult) -> tuple[list[Excerpt], list[str]]:
        """Return the moments as frames of the shelf's files, and sentences on those that are away."""
        placed, away = list[Moment](), list[str]()
        for moment in found.moments:
            try:
                path = self._shelf.find(found.collection, moment.video).path
                placed.append(dataclasses.replace(moment, uri=path.as_uri()))
            except NotFound as error:
                away.append(str(error))
        cuts, unread, _ = excerpts(placed, None)
        told = {(one.video, one.start): one.uri for one in found.moments}
        cuts = [
            dataclasses.replace(
                cut, moment=dataclasses.replace(cut.moment, uri=told[cut.moment.video, cut.moment.start])
            )
            for cut in cuts
        ]
        return cuts, away + unread

    async def _clips(self, query: str, found: SearchResult, cuts: Sequence[Excerpt]) -> tuple[Response, int]:
        """Return the clips as a file, and how many there are."""
        if sum(cut.moment.duration for cut in cuts) > LONGEST_CLIPS:
            message = f"these clips have more than {LONGEST_CLIPS / 60:g} minutes together; choose fewer"
            raise InvalidInput(message, "TOO_LONG")
        if self._cutting.locked():
            raise Overloaded("other clips are being cut; try again", retry_after=2.0)
        async with self._cutting:
            folder = tempfile.TemporaryDirectory(prefix="spr-clips-")
            try:
                made, count = await asyncio.to_thread(_cut, query, found, cuts, Path(folder.name))
            except BaseException:
                folder.cleanup()
                raise
        name, kind = f"moments{made.suffix}", KINDS[made.suffix[1:]]
        remove = BackgroundTask(folder.cleanup)
        return FileResponse(made, media_type=kind, filename=name, background=remove), count


def _same(moment: Moment, video: str, start: float, end: float) -> bool:
    near = max(abs(moment.start - start), abs(moment.end - end)) <= NEAR
    return near and moment.video == video


def _told(cut: Excerpt) -> Excerpt:
    """Return an excerpt that says of its file what the service says: its whole path only by its setting.

    Editors find a file by its name in a folder that they ask for; the folder here keeps equal names apart.
    """
    film = cut.footage
    if local_path(cut.moment.uri) is not None:
        return cut
    apart = Path("/", next(iter(file_names([cut.moment.video]).values())), film.path.name)
    return dataclasses.replace(cut, footage=dataclasses.replace(film, path=apart))


def _cut(query: str, found: SearchResult, cuts: Sequence[Excerpt], folder: Path) -> tuple[Path, int]:
    """Return the one clip, or a zip of several and their manifest; and how many clips there are."""
    named = [_told(cut) for cut in cuts]
    pairs = zip(cuts, named, strict=True)
    sources = {in_utf8(cut.footage.path): in_utf8(told.footage.path) for cut, told in pairs}
    manifest, failed = save_clips(query, found, cuts, folder / "clips", lambda _: None)
    clips = manifest["clips"]
    if not clips:
        raise NotFound(failed[0] if failed else "no clip could be cut", "NO_PICTURE")
    if len(cuts) == 1:
        return Path(folder, "clips", clips[0]["file"]), 1
    for clip in clips:
        clip["source"] = sources.get(clip["source"], "")
    packed = folder / "moments.zip"
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as out:
        for clip in clips:
            out.write(folder / "clips" / clip["file"], clip["file"])
        out.writestr("manifest.json", json.dumps(manifest, ensure_ascii=False, indent=1))
    return packed, len(clips)


def _file(text: str | Mapping[str, str], suffix: str) -> Response:
    """Return a text as a file to save, several as a zip."""
    if isinstance(text, str):
        return _saved(text.encode("utf-8", "replace"), suffix)
    if len(text) == 1:
        return _saved(next(iter(text.values())).encode("utf-8", "replace"), suffix)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as out:
        for video, name in file_names(list(text)).items():
            out.writestr(f"{name}.{suffix}", text[video].encode("utf-8", "replace"))
    return _saved(packed.getvalue(), "zip")


def _saved(data: bytes, suffix: str) -> Response:
    headers = {"content-disposition": f'attachment; filename="moments.{suffix}"', "cache-control": "no-store"}
    return Response(data, 200, headers, KINDS[suffix])
