"""Which subtitle file beside a video is whose."""

import os
import re
import unicodedata
from bisect import bisect
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from trainer.ingest import media
from trainer.ingest.looks import EXTENSIONS
from trainer.ingest.scan import printable

SUFFIXES = (".srt", ".vtt", ".ass", ".ssa", ".webvtt", ".sbv")
# What else subtitles end in: formats that are not read, and names to which a system added its own.
_UNREAD = tuple(
    f".{suffix}"
    for suffix in (
        *"dfxp idx json3 lrc sami smi srv1 srv2 srv3 stl sub sup ttml usf".split(),
        *(f"{read[1:]}.txt" for read in SUFFIXES),
    )
)
# Folders that players look into for them.
_FOLDERS = frozenset({"sub", "subs", "subtitle", "subtitles"})
# Of servers that list nothing.
ASKED_FOR = (".srt", ".vtt")
_LANGUAGE = re.compile(r"[a-z]{2,3}([-_][a-z0-9]{2,8})*|[0-9]{1,2}")
_SEPARATOR = re.compile(r"[\W_]+")
# Of what is said, these hold a part.
PARTIAL = frozenset("forced foreign commentary signs songs".split())
_KINDS = frozenset(
    "sdh default full auto orig original subtitles subtitle subs captions transcript generated "
    "arabic chinese czech danish dutch english finnish french german greek hebrew hindi hungarian "
    "indonesian italian japanese korean norwegian persian polish portuguese romanian russian "
    "spanish swedish thai turkish ukrainian vietnamese".split()
)


@dataclass(slots=True)
class Beside:
    """What lies beside a video: the subtitle file to use, its language, what to tell of the choice.

    language: ISO 639, as the file's name says; "" where it says none.
    """

    path: Path | None = None
    notes: tuple[str, ...] = ()
    language: str = ""


@dataclass(slots=True)
class _Offers:
    """Subtitle files of one video, (how well each serves, name, language), and those that it cannot use.

    unread: of a format that is not. strangers: whose name begins with its own. others: of no video, where it
    is the only one there, or the one of the nearest name.
    """

    ranked: list[tuple[tuple[int, ...], str, str]] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
    strangers: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)

    def notes(self, stem: str) -> Iterator[str]:
        """Yield why the files of a video called `stem` are not used."""
        mine = f"call it {stem}.srt if it is this video's"
        others = [] if self.unread or self.strangers else self.others
        read = [name for name in others if _suffix(name) in SUFFIXES]
        unread = self.unread or ([] if read else others)
        told = (
            (unread, "it is of a kind that is not read", f"convert it to {stem}.srt"),
            (self.strangers, "its name says neither a language nor a kind", mine),
            (read, "its name is not the video's", mine),
        )
        for names, why, remedy in told:
            if names:
                yield f"{_listed(sorted(names))} beside it is not used, for {why}; {remedy}"


class Sidecars:
    """Finds subtitle files; one listing a folder, however many videos it has."""

    def __init__(self) -> None:
        self._folders: dict[Path, dict[str, _Offers]] = {}

    def of(self, video: Path) -> Beside:
        """Return NAME.srt (or .vtt, .ass, .ssa) beside NAME.mp4, else NAME.<language and kind>.srt.

        Those in a folder Subs or Subtitles come last. Letter case and the way accents are encoded do not
        matter. A file that is another video's is never taken. Where several serve, the notes say which one
        does.
        """
        offers = self._folders.get(video.parent, {})
        if video.name not in offers:
            names = media.beside(video, ASKED_FOR)
            videos = {name for name in names if _suffix(name) in EXTENSIONS} | {video.name}
            known = () if media.is_web(video) else offers
            found = _assign([*names, *_in_folders(video, names)], videos.union(known))
            offers = self._folders[video.parent] = offers | found
        mine = offers[video.name]
        ranked = [name for _, name, _ in sorted(mine.ranked)]
        stem = printable(video.stem)
        if not ranked:
            return Beside(None, tuple(mine.notes(stem)))
        also = f"{_listed(ranked[1:])} beside it not; call the one to use {stem}.srt"
        notes = (f"{printable(ranked[0])} is used for its subtitles, {also}",) if ranked[1:] else ()
        return Beside(video.parent / ranked[0], notes, min(mine.ranked)[2])


def _in_folders(video: Path, names: Sequence[str]) -> Iterator[str]:
    """Yield what is in folders for subtitles beside a video, and below them: Subs/a.srt, Subs/a/2.srt."""
    folders = [name for name in names if name.lower() in _FOLDERS and not media.is_remote(video)]
    for top in folders:
        for folder, _, files in os.walk(video.parent / top):
            yield from (os.path.relpath(os.path.join(folder, name), video.parent) for name in files)


def _assign(names: Collection[str], videos: Collection[str]) -> dict[str, _Offers]:
    """Give every subtitle file to the videos whose name is the longest beginning of its own."""
    offers = {video: _Offers() for video in videos}
    by_key: dict[str, list[str]] = {}
    for video in videos:
        for key in {_key(os.path.splitext(video)[0]), _key(video)}:
            by_key.setdefault(key, []).append(video)
    like = _Like(videos)
    for path in names:
        name = path.rpartition("/")[2]
        unread = next((end for end in _UNREAD if name.lower().endswith(end)), "")
        stem = name[: -len(unread)] if unread else os.path.splitext(name)[0]
        if name.startswith(".") or not (unread or _suffix(name) in SUFFIXES):
            continue
        owners, base, tags = _owners(stem, by_key)
        for video in owners:
            if unread:
                offers[video].unread.append(path)
            else:
                _offer(offers[video], path, tags, base == os.path.splitext(video)[0])
        if not owners:
            nearest = next((by_key[key] for base in _roots(path) if (key := _key(base)) in by_key), ())
            for video in nearest:
                (offers[video].unread if unread else offers[video].strangers).append(path)
            alone = next(iter(offers)) if len(offers) == 1 else like.nearest(stem)
            if not nearest and alone is not None:
                offers[alone].others.append(path)
    return offers


class _Like:
    """Videos by the letters and digits of their names alone: spaces, dots and accents are easily changed."""

    def __init__(self, videos: Collection[str]) -> None:
        self._of = {_letters(os.path.splitext(video)[0]): video for video in sorted(videos, reverse=True)}
        self._sorted = sorted(self._of)

    def nearest(self, stem: str) -> str | None:
        """Return the video of a name, else the one that shares most of its beginning, half at least."""
        name = _letters(stem)
        if name in self._of:
            return self._of[name]
        at = bisect(self._sorted, name)
        near = self._sorted[max(0, at - 2) : at + 2]
        shared = [(_alike(name, each), each) for each in near]
        (most, each), *others = sorted(shared, reverse=True)
        alone = not others or others[0][0] < most
        return self._of[each] if alone and most * 2 >= len(name) > 0 else None


def _owners(stem: str, by_key: Mapping[str, list[str]]) -> tuple[list[str], str, list[str]]:
    """Return the videos whose name is the longest beginning of a file's; that beginning; the parts behind."""
    for base, tags in _beginnings(stem):
        if owners := by_key.get(_key(base)):
            exact = [video for video in owners if base in (video, os.path.splitext(video)[0])]
            return exact or owners, base, tags
    return [], "", []


def _offer(offers: _Offers, path: str, tags: list[str], exact: bool) -> None:
    if not all(_LANGUAGE.fullmatch(tag) or tag in _KINDS or tag in PARTIAL for tag in tags):
        offers.strangers.append(path)
        return
    partial = any(tag in PARTIAL for tag in tags)
    order = (partial, path.count("/"), len(tags), not exact, SUFFIXES.index(_suffix(path)))
    languages = (tag for tag in tags if tag.isascii() and not tag.isdigit() and tag not in _KINDS | PARTIAL)
    offers.ranked.append((order, path, re.split("[-_]", next(languages, ""))[0]))


def _beginnings(stem: str) -> Iterator[tuple[str, list[str]]]:
    """Yield a file's name less more and more of its last parts, and those parts in lower case."""
    parts = stem.split(".")
    for cut in range(len(parts), 0, -1):
        yield ".".join(parts[:cut]), [part.lower() for part in parts[cut:]]


def _roots(path: str) -> Iterator[str]:
    """Yield what a file's name, or its folder's, begins with, the longer first, each cut before no letter."""
    *folders, name = path.split("/")
    for cut in reversed([match.start() for match in _SEPARATOR.finditer(name)]):
        yield name[:cut]
    yield from reversed(folders[1:])


def _key(name: str) -> str:
    """Return what two names share that people take for the same."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def _letters(name: str) -> str:
    return "".join(filter(str.isalnum, unicodedata.normalize("NFKD", name.casefold())))


def _alike(one: str, other: str) -> int:
    """Return how many first characters two names share."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((place for place, (a, b) in pairs if a != b), min(len(one), len(other)))


def _suffix(name: str) -> str:
    return os.path.splitext(name)[1].lower()


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(map(printable, names[:3])) + more
