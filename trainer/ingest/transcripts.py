"""Transcripts and readings of screens: WebVTT files, named by their video's content, that people correct."""

import fcntl
import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.errors import InvalidInput
from engine.files import make_folder, read_json, replacing, write_json
from engine.printable import printable
from engine.texts import Line
from trainer.ingest import media
from trainer.ingest.encodings import decode
from trainer.ingest.subtitles import Cue

# Of what is said, and of what is written on the screen.
DIRECTORY, SCREENS = "transcripts", "screen"
_HEAD = re.compile(
    r"WEBVTT\n\nNOTE\nmade by: (?P<engine>.*)\nlanguage: (?P<language>.*)\nvideo: (?P<video>.*)\n"
    r"sha256: (?P<sha256>[0-9a-f]{64})\n"
)


@dataclass(frozen=True, slots=True)
class Head:
    """What a transcript says of itself. sha256: of its cues as the engine wrote them."""

    engine: str
    language: str
    video: str
    sha256: str
    cues: int
    corrected: bool


@dataclass(frozen=True, slots=True)
class Transcripts:
    """The folder of a collection's transcripts, or of its readings of screens; it need not exist."""

    folder: Path

    @staticmethod
    def of(collection: Path) -> "Transcripts":
        """Return a collection's."""
        return Transcripts(collection / DIRECTORY)

    @staticmethod
    def of_screens(collection: Path) -> "Transcripts":
        """Return a collection's readings of screens."""
        return Transcripts(collection / SCREENS)

    def path(self, content: str) -> Path:
        """Return where the transcript of a video is, or would be. content: the SHA-256 of the file."""
        return self.folder / f"{content}.vtt"

    def found(self, content: str) -> Path | None:
        """Return the transcript of a video where there is one."""
        path = self.path(content)
        return path if path.is_file() else None

    def of_file(self, path: Path) -> Path | None:
        """Return the transcript of a video's file where there is one; the file is not read."""
        content = Contents(self.folder).known(path) if self.folder.is_dir() else None
        return None if content is None else self.found(content)

    def head(self, content: str) -> Head | None:
        """Return what the transcript of a video says of itself, None without one."""
        return head_of(self.path(content))

    def write(self, content: str, video: str, engine: str, language: str, cues: Sequence[Cue | Line]) -> None:
        """Write a transcript atomically, in place of one that is there. video: the file's name."""
        body = "".join(_lines(cues))
        make_folder(self.folder)
        with replacing(self.path(content)) as partial:
            partial.write_text(
                f"WEBVTT\n\nNOTE\nmade by: {engine}\nlanguage: {language}\nvideo: {printable(video)}\n"
                f"sha256: {_digest(body)}\n{body}",
                encoding="utf-8",
            )

    def __iter__(self) -> Iterator[tuple[str, Head]]:
        """Yield the contents that have one, sorted, and what each says of itself."""
        for path in sorted(self.folder.glob("*.vtt")):
            head = self.head(path.stem)
            if head is not None:
                yield path.stem, head


def head_of(path: Path) -> Head | None:
    """Return what a transcript says of itself, None where it cannot be read.

    One without our header was written by hand: it counts as corrected.
    """
    try:
        text = decode(path.read_bytes())[0].replace("\r\n", "\n").replace("\r", "\n")
    except OSError:
        return None
    except InvalidInput:
        text = ""
    match, cues = _HEAD.match(text), text.count("-->")
    if match is None:
        return Head("", "", "", "", cues, corrected=True)
    return Head(**match.groupdict(), cues=cues, corrected=_digest(text[match.end() :]) != match["sha256"])


class Contents:
    """The SHA-256 of files, remembered while size and time of change stay: reading an archive takes long."""

    def __init__(self, folder: Path) -> None:
        """folder: of the transcripts; the file is written there by `keep`."""
        self._path = folder / "contents.json"
        self._new: dict[str, object] = {}
        self._known = self._read()

    def known(self, path: Path) -> str | None:
        """Return it where it is remembered. Raises OSError."""
        match self._known.get(media.uri_of(path)):
            case [*state, str(content)] if state == list(media.status(path).state.values()):
                return content
        return None

    def of(self, path: Path) -> str:
        """Return it; the file is read where it has to be. Raises OSError."""
        content = self.known(path)
        if content is None:
            state = media.status(path).state
            content = media.content_of(path)
            entry = [*state.values(), content]
            self._known[media.uri_of(path)] = self._new[media.uri_of(path)] = entry
        return content

    def keep(self) -> None:
        """Write down what is new, beside what others have since this began."""
        if self._new:
            make_folder(self._path.parent)
            with self._path.with_suffix(".lock").open("a") as held:
                fcntl.flock(held, fcntl.LOCK_EX)
                write_json(self._path, self._read() | self._new)

    def _read(self) -> dict[str, object]:
        try:
            found: dict[str, object] = read_json(self._path, dict)
        except (OSError, InvalidInput):
            return {}
        return found


def clock(seconds: float) -> str:
    """Return a time as WebVTT writes it."""
    minutes, rest = divmod(max(0, round(seconds * 1000)), 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{rest / 1000:06.3f}"


def _lines(cues: Sequence[Cue | Line]) -> Iterator[str]:
    for cue in cues:
        box = cue.box if isinstance(cue, Line) else None
        name = "" if box is None else " ".join(f"{share:.3f}" for share in box) + "\n"
        text = cue.text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        yield f"\n{name}{clock(cue.start)} --> {clock(cue.end)}\n{' '.join(text.split())}\n"


def _digest(body: str) -> str:
    return hashlib.sha256(body.strip().encode()).hexdigest()
