"""Subtitle files beside videos: which one is whose, and what is in it."""

import errno
import os
import re
import unicodedata
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from engine.errors import InvalidInput
from trainer.ingest import media
from trainer.ingest.encodings import decode
from trainer.ingest.grammar import parse
from trainer.ingest.limits import DEFAULT, Limits
from trainer.ingest.looks import EXTENSIONS
from trainer.ingest.scan import printable
from trainer.ingest.subtitles import LONGEST_CUE, Cue, usable

SUFFIXES = (".srt", ".vtt", ".ass", ".ssa")
# Of servers that list nothing.
ASKED_FOR = (".srt", ".vtt")
_LANGUAGE = re.compile(r"[a-z]{2,3}([-_][a-z0-9]{2,8})*|[0-9]{1,2}")
_SEPARATOR = re.compile(r"[\W_]+")
_PARTIAL = frozenset("forced foreign commentary signs songs".split())
_KINDS = frozenset(
    "sdh default full auto orig original subtitles subtitle subs captions transcript generated "
    "arabic chinese czech danish dutch english finnish french german greek hebrew hindi hungarian "
    "indonesian italian japanese korean norwegian persian polish portuguese romanian russian "
    "spanish swedish thai turkish ukrainian vietnamese".split()
)


@dataclass(frozen=True, slots=True)
class Words:
    """What a subtitle file says. sha256: of its bytes, "" where they cannot be read."""

    sha256: str = ""
    cues: tuple[Cue, ...] = ()
    warnings: tuple[str, ...] = ()


def read_sidecar(path: Path, limits: Limits = DEFAULT) -> Words:
    """Read a subtitle file of any of the formats and encodings; one that cannot be used is a warning."""
    name, digest = printable(path.name), ""
    try:
        data = _bytes(path, limits.subtitle_mb)
        digest = sha256(data).hexdigest()
        text, doubt = decode(data)
        found = parse(text, suffix=path.suffix.lower(), most_cues=limits.cues)
    except OSError as error:
        return Words(warnings=(f"{name} is not used, for it cannot be read ({error.strerror})",))
    except InvalidInput as error:
        return Words(digest, warnings=(f"{name} is not used, for {error}",))
    cues = usable(found.cues)
    says_something = text.strip("\ufeff \t\r\n").removeprefix("WEBVTT").strip()
    if not found.cues and not found.untimed and not found.long and not found.wordless and says_something:
        return Words(digest, (), (f"{name} has text but no subtitle with its times; repair or remove it",))
    doubts = [f"{name}: {doubt}"] if doubt else []
    if found.untimed:
        doubts.append(f"{name}: {found.untimed} of its cues have no times that can be used and are left out")
    if found.long:
        doubts.append(
            f"{name}: {found.long} of its cues have more than {LONGEST_CUE} characters and are left out"
        )
    return Words(digest, tuple(cues), tuple(doubts))


def _bytes(path: Path, most_mb: int) -> bytes:
    try:
        size = media.status(path).size
    except OSError as error:
        if error.errno == errno.EINVAL:
            raise InvalidInput("it is no regular file; remove it or put the file itself there") from None
        raise
    if size > most_mb << 20:
        raise InvalidInput(
            f"it has {size / 2**20:.0f} MB and at most {most_mb} are read; "
            "leave out what is no speech, or raise --max-subtitle-mb"
        )
    with media.reading(path) as file:
        return file.read(most_mb << 20)


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
    """Subtitle files of one video, (how well each serves, name, language); names that only begin like it."""

    ranked: list[tuple[tuple[int, ...], str, str]] = field(default_factory=list)
    strangers: list[str] = field(default_factory=list)


class Sidecars:
    """Finds subtitle files; one listing a folder, however many videos it has."""

    def __init__(self) -> None:
        self._folders: dict[Path, dict[str, _Offers]] = {}

    def of(self, video: Path) -> Beside:
        """Return NAME.srt (or .vtt, .ass, .ssa) beside NAME.mp4, else NAME.<language and kind>.srt.

        Letter case and the way accents are encoded do not matter. A file that is another video's is never
        taken. Where several serve, the notes say which one does.
        """
        offers = self._folders.get(video.parent, {})
        if video.name not in offers:
            names = media.beside(video, ASKED_FOR)
            videos = {name for name in names if _suffix(name) in EXTENSIONS} | {video.name}
            known = () if media.is_web(video) else offers
            offers = self._folders[video.parent] = offers | _assign(names, videos.union(known))
        found = offers[video.name]
        ranked = [name for _, name, _ in sorted(found.ranked)]
        if ranked:
            language = min(found.ranked)[2]
            also = f"{_listed(ranked[1:])} beside it not; call the one to use {printable(video.stem)}.srt"
            notes = (f"{printable(ranked[0])} is used for its subtitles, {also}",) if ranked[1:] else ()
            return Beside(video.parent / ranked[0], notes, language)
        if found.strangers:
            return Beside(
                None,
                (
                    f"{_listed(sorted(found.strangers))} beside it is not used, for its name says neither a "
                    f"language nor a kind; call it {printable(video.stem)}.srt if it is this video's",
                ),
            )
        return Beside()


def _assign(names: Collection[str], videos: Collection[str]) -> dict[str, _Offers]:
    """Give every subtitle file to the videos whose name is the longest beginning of its own."""
    offers = {video: _Offers() for video in videos}
    by_key: dict[str, list[str]] = {}
    for video in videos:
        for key in {_key(os.path.splitext(video)[0]), _key(video)}:
            by_key.setdefault(key, []).append(video)
    for name in names:
        stem, suffix = os.path.splitext(name)
        if name.startswith(".") or suffix.lower() not in SUFFIXES:
            continue
        for base, tags in _beginnings(stem):
            if owners := by_key.get(_key(base)):
                exact = [video for video in owners if base in (video, os.path.splitext(video)[0])]
                for video in exact or owners:
                    _offer(offers[video], name, tags, base == os.path.splitext(video)[0])
                break
        else:
            for video in next((found for base in _roots(stem) if (found := by_key.get(_key(base)))), ()):
                offers[video].strangers.append(name)
    return offers


def _offer(offers: _Offers, name: str, tags: list[str], exact: bool) -> None:
    if not all(_LANGUAGE.fullmatch(tag) or tag in _KINDS or tag in _PARTIAL for tag in tags):
        offers.strangers.append(name)
        return
    partial = any(tag in _PARTIAL for tag in tags)
    order = (partial, len(tags), not exact, SUFFIXES.index(_suffix(name)))
    languages = (tag for tag in tags if tag.isascii() and not tag.isdigit() and tag not in _KINDS | _PARTIAL)
    offers.ranked.append((order, name, re.split("[-_]", next(languages, ""))[0]))


def _beginnings(stem: str) -> Iterator[tuple[str, list[str]]]:
    """Yield a file's name less more and more of its last parts, and those parts in lower case."""
    parts = stem.split(".")
    for cut in range(len(parts), 0, -1):
        yield ".".join(parts[:cut]), [part.lower() for part in parts[cut:]]


def _roots(stem: str) -> Iterator[str]:
    """Yield the longer beginnings of a name first, each cut before what is no letter or digit."""
    for cut in reversed([match.start() for match in _SEPARATOR.finditer(stem)]):
        yield stem[:cut]


def _key(name: str) -> str:
    """Return what two names share that people take for the same."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def _suffix(name: str) -> str:
    return os.path.splitext(name)[1].lower()


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(map(printable, names[:3])) + more
