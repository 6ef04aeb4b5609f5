"""Moments as frames of files: what every format for editors is written from."""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from engine.errors import InvalidInput, NotFound, quoted
from engine.printable import in_one_form
from spr_client import Moment
from spr_gateway.exports.footage import Footage, footage
from trainer.ingest.errors import BadVideo
from trainer.ingest.naming import local_path


@dataclass(frozen=True, slots=True)
class Excerpt:
    """Frames [first, end) of a file, counted from its first one."""

    moment: Moment
    footage: Footage
    first: int
    end: int

    @property
    def frames(self) -> int:
        """How many."""
        return self.end - self.first


def excerpts(moments: Sequence[Moment], media: Path | None) -> tuple[list[Excerpt], list[str], list[str]]:
    """Return the moments as frames, sentences on files that are away or unreadable, and notes on the others.

    media: a folder in which files are looked for by their names; None: they are where the answer says.
    """
    finder, known = Finder(media), dict[str, Footage | None]()
    away, notes = list[str](), list[str]()
    for moment in moments:
        if moment.video in known:
            continue
        known[moment.video] = None
        try:
            seen = known[moment.video] = footage(finder.path(moment))
            notes += seen.notes
        except NotFound as error:
            away.append(str(error))
        except BadVideo as error:
            away.append(f"the file of video {quoted(moment.video)} cannot be used: {error}")
    pairs = ((moment, known[moment.video]) for moment in moments)
    return [excerpt(moment, seen) for moment, seen in pairs if seen is not None], away, notes


def excerpt(moment: Moment, seen: Footage) -> Excerpt:
    """Return the frames that a moment shows, at least one."""
    first = min(seen.counting.first(moment.start), seen.frames - 1)
    end = min(max(first + 1, seen.counting.end(moment.end)), seen.frames)
    return Excerpt(moment, seen, first, end)


def by_video(moments: Iterable[Moment]) -> dict[str, list[Moment]]:
    """Return the moments of each video by time, the videos as they come."""
    videos: dict[str, list[Moment]] = {}
    for moment in moments:
        videos.setdefault(moment.video, []).append(moment)
    return {video: sorted(found, key=lambda each: (each.start, each.end)) for video, found in videos.items()}


class Finder:
    """Finds the files of videos."""

    def __init__(self, media: Path | None) -> None:
        self._media = media
        self._named: dict[str, list[Path]] = {}
        if media is None:
            return
        if not media.is_dir():
            raise InvalidInput(f"{media} is no folder; --media names the one that holds the videos' files")
        for path in _files(media):
            self._named.setdefault(in_one_form(path.name), []).append(path)

    def path(self, moment: Moment) -> Path:
        """Return where the file of a moment's video is; NotFound says what helps."""
        video, name = quoted(moment.video), unquote(moment.uri.rpartition("/")[2], errors="surrogateescape")
        if not name:
            raise NotFound(
                f'the service does not say which file video {video} is; set uris = "full" in its topology'
            )
        if self._media is not None:
            return self._one(video, name)
        path = local_path(moment.uri)
        if path is None:
            raise NotFound(
                f"the service does not say where {quoted(name)} of video {video} is; "
                f'name its folder with --media, or set uris = "full" in the topology'
            )
        if not path.is_file():
            raise NotFound(f"{path} of video {video} is not there; name the folder it is in with --media")
        return path

    def _one(self, video: str, name: str) -> Path:
        found = self._named.get(in_one_form(name), [])
        found = [path for path in found if path.name == name] or found
        if not found:
            raise NotFound(
                f"no file below {self._media} is called {quoted(name)}, as that of video {video} is"
            )
        if len(found) > 1:
            raise NotFound(
                f"{found[0]} and {found[1]} both are called as the file of video {video}; "
                f"name a folder with --media that holds one of them"
            )
        return found[0]


def _files(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        folders.sort()
        yield from (Path(parent, name) for name in sorted(names))
