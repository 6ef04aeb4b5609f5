"""Finds video files below the given paths."""

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from engine.printable import printable as shown
from trainer.ingest import media
from trainer.ingest.looks import is_video, left_out


@dataclass(frozen=True, slots=True)
class VideoFile:
    """A file to ingest. path: absolute. relative: below the directory that was given, without extension."""

    path: Path
    relative: str

    @property
    def stem(self) -> str:
        """The file's name without extension, as `printable` shows it."""
        return printable(self.path.stem)


@dataclass(slots=True)
class Survey:
    """What lies below the paths given. found: in order of path. Of the rest: (path, why it is not taken).

    unreadable: folders that could not be listed. left_out: what looks like a video, or may hold some.
    """

    found: list[VideoFile] = field(default_factory=list)
    unreadable: list[tuple[Path, str]] = field(default_factory=list)
    left_out: list[tuple[Path, str]] = field(default_factory=list)


def find(paths: Iterable[Path]) -> list[VideoFile]:
    """Return what `survey` finds."""
    return survey(paths).found


def survey(paths: Iterable[Path]) -> Survey:
    """Return every file named, and every video below every directory named, each once, sorted by path.

    A file that is named is taken whatever its extension, and whether or not it exists: its error is reported
    with the others'. Hidden files and directories are passed over; links to directories are not followed.
    """
    found: dict[Path, VideoFile] = {}
    told = Survey()
    given = [media.absolute(path) for path in paths]
    for absolute in given:
        if media.is_remote(absolute):
            for file in _videos_in_store(absolute, told):
                found.setdefault(file, _found(file, absolute if file != absolute else file.parent))
        elif os.path.isdir(absolute):
            for file in _videos_below(absolute, told):
                found.setdefault(file, _found(file, absolute))
        else:
            found.setdefault(absolute, _found(absolute, absolute.parent))
    told.found = [found[path] for path in sorted(found)]
    told.unreadable = sorted(set(told.unreadable))
    told.left_out = sorted(
        {(path, why) for path, why in told.left_out if path not in found and path not in given}
    )
    return told


def printable(name: str) -> str:
    """Return a file name as text without control characters; bytes that are no Unicode become U+FFFD."""
    return shown(os.fsencode(name).decode("utf-8", "replace"))


def _found(file: Path, root: Path) -> VideoFile:
    return VideoFile(file, printable(file.relative_to(root).with_suffix("").as_posix()))


def _videos_in_store(top: Path, told: Survey) -> list[Path]:
    """Return the file that a URL names, or the videos below it by their names: reading is a request."""
    try:
        there = media.below(top)
    except OSError as error:
        told.unreadable.append((top, f"it cannot be read: {error.strerror}"))
        return []
    return there if there == [top] else [path for path in there if is_video(path)]


def _videos_below(root: Path, told: Survey) -> list[Path]:
    """Return the videos below a directory; note in `told` what is not taken."""

    def unreadable(error: OSError) -> None:
        told.unreadable.append((Path(error.filename), f"it cannot be read: {error.strerror}"))

    videos = []
    for folder, folders, names in os.walk(root, onerror=unreadable):
        folders[:] = [name for name in folders if not name.startswith(".")]
        links = [Path(folder, name) for name in folders if os.path.islink(os.path.join(folder, name))]
        told.left_out += [(link, "links to folders are not followed; name it to take it") for link in links]
        for path in (Path(folder, name) for name in names if not name.startswith(".")):
            if is_video(path):
                videos.append(path)
            elif reason := left_out(path):
                told.left_out.append((path, reason))
    return videos
