"""Give every file its video id."""

import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISDIR
from typing import Literal

from engine.errors import InvalidInput
from engine.words import trimmed
from trainer.ingest import media
from trainer.ingest.scan import VideoFile, printable
from workers.feature_store.format import check_id


@dataclass(frozen=True, slots=True)
class Clash:
    """A file that can have no id for now. other: the file in its way."""

    other: str


class Names:
    """Gives one file after the other its id; what it must remember of them is little where names differ.

    A file keeps the id it has. A new one is called by the first of its `names` that nothing has, here or in
    the collection; nothing is said of files that are only away. Two files that differ in their extension
    alone would share all names: the first has them.
    """

    def __init__(self, known: Mapping[str, str], alone: Callable[[VideoFile], bool]) -> None:
        """known: id -> uri of the videos in the collection. alone: whether a file's stem is no other's."""
        self._known, self._alone = known, alone
        self._ids = {uri: video for video, uri in known.items()}
        paths = [path for path in map(media.path_of, known.values()) if path is not None]
        # Path without suffix -> suffix.
        self._beside = {str(path.with_suffix("")): sys.intern(path.suffix) for path in paths}
        self._given: set[str] = set()

    def name(self, file: VideoFile) -> str | Clash:
        """Return a file's id. Files come in the order of their paths."""
        if (kept := self._ids.get(media.uri_of(file.path))) is not None:
            return kept
        alone, place = self._alone(file), str(file.path.with_suffix(""))
        other = place + self._beside[place] if place in self._beside else None
        taken = other is not None and whereabouts(Path(other)) == "there"
        name = next((n for n in names(file, alone) if n not in self._given and n not in self._known), None)
        if name is None or taken:
            return Clash(media.shown(Path(other) if other else file.path.parent))
        # No other file can be called, or lie, as one that has its stem alone.
        if not alone or name != file.stem:
            self._given.add(name)
            self._beside[place] = sys.intern(file.path.suffix)
        return name


def name_videos(
    found: Sequence[VideoFile], known: Mapping[str, str], stems: Mapping[str, int] | None = None
) -> tuple[dict[str, VideoFile], list[tuple[VideoFile, str]]]:
    """Return id -> file by `Names`, and the files that can have none for now, each with the file in its way.

    known: id -> uri of the videos in the collection. stems: how many files have each, None: of `found`.
    """
    counts = Counter(file.stem for file in found) if stems is None else stems
    naming = Names(known, lambda file: counts[file.stem] == 1)
    given = [(file, naming.name(file)) for file in found]
    named = {name: file for file, name in given if isinstance(name, str)}
    clashes = [(file, name.other) for file, name in given if isinstance(name, Clash)]
    return dict(sorted(named.items(), key=lambda item: item[1].path)), clashes


def names_elsewhere(
    files: Sequence[VideoFile],
    others: Sequence[VideoFile],
    known: Mapping[str, str],
    stems: Mapping[str, int],
) -> dict[str, str]:
    """Return id -> uri of those of `files`, in order, that other runs ingest: all give the same names."""
    if not others:
        return {}
    elsewhere = set(others)
    named, _ = name_videos(files, known, stems)
    return {video: media.uri_of(file.path) for video, file in named.items() if file in elsewhere}


def names(file: VideoFile, alone: bool = True) -> Iterator[str]:
    """Yield what a file may be called: its stem if `alone`, its path as given, and ever more of its path."""
    parts = printable(file.path.with_suffix("").as_posix()).split("/")[1:]
    longer = ("/".join(parts[-count:]) for count in range(2, len(parts) + 1))
    for name in dict.fromkeys([*([file.stem] if alone else []), file.relative, *longer]):
        if not trimmed(name):
            # Nobody could read it, or name it in annotations.
            continue
        try:
            check_id(name)
        except InvalidInput:
            continue
        yield name


def local_path(uri: str) -> Path | None:
    """Return the path of a file:// URI, None for another kind."""
    path = media.path_of(uri)
    return None if path is None or media.is_remote(path) else path


def whereabouts(path: Path | None) -> Literal["there", "gone", "away", "hidden"]:
    """Say whether a file is there, gone from its folder, away with it, or hidden: it may not be looked at.

    Only "gone" is certain: a folder may be unplugged. None, for what is no file here, is there.
    """
    try:
        if path is not None and media.is_remote(path):
            media.status(path)
        elif path is not None and S_ISDIR(path.stat().st_mode):
            return "gone"
    except (FileNotFoundError, NotADirectoryError):
        assert path is not None
        if media.is_remote(path):
            return "gone"
        # What a link leads to may lie in a folder that is unplugged.
        return "gone" if os.path.isdir(path.parent) and not path.is_symlink() else "away"
    except (OSError, ValueError):
        return "hidden"
    return "there"
