"""Subtitles inside a video: its text track, gathered while the packets pass."""

from __future__ import annotations  # av.Packet is generic to type checkers only

import codecs
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import av.error
from av.container import InputContainer
from av.packet import Packet
from av.sidedata.sidedata import Type
from av.stream import Disposition, Stream
from av.subtitles.stream import SubtitleStream
from av.video.frame import VideoFrame

from trainer.ingest import reasons
from trainer.ingest.beside import PARTIAL
from trainer.ingest.leaps import Leaps
from trainer.ingest.markup import lines
from trainer.ingest.subtitles import LONGEST_CUE, MOST_CUES, Cue, usable
from workers.side_data import side_data

# Codecs whose packets are the words.
_PLAIN = frozenset({"subrip", "srt", "text", "webvtt"})
_CAPTIONS = "cc_dec"
# Of closed captions in pictures: the marks of the valid bytes of the two fields of CEA-608.
_FIELDS = (4, 5)
# Sample entries of MP4.
_UNREAD = {b"wvtt": "WebVTT in MP4", b"sbtt": "text", b"stxt": "text", b"c708": "CEA-708"}
_WORD = re.compile("[a-z]+")
# Words of titles of tracks that are whole, whatever else they say.
_WHOLE = frozenset({"full", "dialog", "dialogue", "dialogues"})
# Of a last sentence that says no end; those before it end with the next one.
LAST_SECONDS = 5.0


class TextTrack:
    """The track of a container that a player would show. Times are the container's until `cues` is asked."""

    def __init__(self, container: InputContainer, pictures: Stream, path: Path) -> None:
        """pictures: whose packets are taken as well, for their clock. path: the container's file."""
        self._path, self._format = path, container.format.name
        # Whether pictures carry closed captions (CEA-608, 708).
        self._captions = False
        self._leaps, self._pictures = Leaps(container), pictures.index
        self._tracks = list(container.streams.subtitles)
        self._stream = pick_text_track(container)
        # start, end (None where the file says none) and words ("" where the screen is cleared)
        self._events: list[tuple[float, float | None, str]] = []
        self._damaged = self._long = self._beyond = 0

    @property
    def language(self) -> str:
        """ISO 639, "" where the track does not say it."""
        said = "" if self._stream is None else (self._stream.language or "")
        return "" if said == "und" else said

    def take(self, packet: Packet[Any]) -> None:
        """Decode a packet, if it is of the track."""
        if self._stream is None:
            return
        if packet.stream.index == self._pictures:
            self._leaps.take(packet)
        if packet.stream.index != self._stream.index:
            return
        codec = self._stream.codec_context.name
        if codec != _CAPTIONS and (packet.pts is None or not packet.time_base or not packet.size):
            return
        if len(self._events) >= MOST_CUES:
            self._beyond += 1
            return
        try:
            start, length, texts, ass = _read(packet, self._stream)
        except (av.error.FFmpegError, UnicodeDecodeError):
            self._damaged += 1
            return
        near = self._leaps.near(start)
        start += self._leaps.offset if near is None else near
        end = start + length if length else None
        self._long += sum(len(text) > LONGEST_CUE for text in texts)
        words = ["\n".join(lines(text, ass=ass)) for text in texts if len(text) <= LONGEST_CUE]
        self._events.extend((start, end, text) for text in words or ([] if codec == _CAPTIONS else [""]))

    def look(self, frame: VideoFrame) -> None:
        """Take note of closed captions that lie in a picture: they are not read."""
        if self._stream is None and not self._captions:
            self._captions = _says(side_data(frame, Type.A53_CC) or b"")

    def cues(self, first: float, length: float) -> tuple[Cue, ...]:
        """Return the cues in seconds from the first frame. first: its time; length: of the video, seconds."""
        starts = sorted({start for start, _, _ in self._events})
        following = dict(pairwise(starts))
        cues = []
        for start, end, text in self._events:
            if end is None:
                last = max(start, min(start + LAST_SECONDS, first + length))
                end = following.get(start, last)
            cues.append(Cue(start - first, end - first, text))
        return tuple(usable(cues))

    @property
    def warnings(self) -> tuple[str, ...]:
        """What of the subtitles inside is not used, and why."""
        found = []
        if self._stream is None and (kinds := self._unread()):
            told = ", ".join(sorted(kinds))
            found.append(f"the subtitles inside it are not used ({told}); put them beside it as .srt")
        if self._damaged:
            found.append(f"{self._damaged} packets of its subtitles do not decode")
        if self._long:
            found.append(
                f"{self._long} of its subtitles have more than {LONGEST_CUE} characters and are left out"
            )
        if self._beyond:
            found.append(
                f"of its subtitles the first {MOST_CUES} are used, {self._beyond} more packets are not"
            )
        return tuple(found)

    def _unread(self) -> set[str]:
        """Return the kinds of subtitles that there are and none is read of."""
        kinds = {_kind(track) for track in self._tracks}
        if "mp4" in self._format.split(","):
            # FFmpeg takes them for data.
            kinds |= {kind for entry in reasons.sample_entries(self._path) if (kind := _UNREAD.get(entry))}
        return kinds | ({"closed captions in its pictures"} if self._captions else set())


def pick_text_track(container: InputContainer) -> SubtitleStream | None:
    """Return the track of what is said: the default first, comments and parts of it (forced, signs) last."""
    # "Signs" may be the film's own title.
    film = _words(f"{Path(container.name).stem} {container.metadata.get('title', '')}")

    def order(track: SubtitleStream) -> tuple[bool, bool, int]:
        flags, words = track.disposition, _words(track.metadata.get("title", "")) - film
        partial = bool(flags & (Disposition.forced | Disposition.comment)) or bool(words & PARTIAL)
        return (partial and not words & _WHOLE, not flags & Disposition.default, track.index)

    return min((s for s in container.streams.subtitles if _is_text(s)), key=order, default=None)


def _words(title: str) -> set[str]:
    return set(_WORD.findall(title.lower()))


def _read(packet: Packet[Any], stream: SubtitleStream) -> tuple[float, float, list[str], bool]:
    """Return when a packet's words begin and how long they last, 0 where it does not say; and `_texts`.

    Of closed captions it is another packet, or the file's end, that ends those that were on the screen.
    """
    context: Any = stream.codec_context
    if context.name != _CAPTIONS:
        tick = packet.time_base
        assert packet.pts is not None
        return float(packet.pts * tick), float((packet.duration or 0) * tick), *_texts(packet, context.name)
    if (shown := context.decode2(packet)) is None:
        return 0.0, 0.0, [], True
    texts = [part.dialogue.decode("utf-8", "replace") for part in shown]
    return shown.pts / av.time_base, shown.end_display_time / 1000, texts, True


def _texts(packet: Packet[Any], codec: str) -> tuple[list[str], bool]:
    """Return what a packet says, and whether it is marked up as ASS.

    Raises FFmpegError, UnicodeDecodeError for a damaged one. FFmpeg's decoders make ASS of all, but take "<3"
    or {an aside} for markup and cut it: where a packet is plain text it is read as it is.
    """
    if codec in _PLAIN:
        return [bytes(packet).decode()], False
    if codec == "mov_text":
        data = bytes(packet)
        text = data[2 : 2 + int.from_bytes(data[:2], "big")]
        wide = text.startswith((codecs.BOM_UTF16_BE, codecs.BOM_UTF16_LE))
        return [text.decode("utf-16" if wide else "utf-8")], False
    # A dialogue's text is its last comma-separated field.
    parts = [part.dialogue for part in packet.decode() if hasattr(part, "dialogue")]
    return [text.decode("utf-8", "replace") for text in parts], True


def _says(captions: bytes) -> bool:
    """Whether a picture's closed captions are more than what fills their channel."""
    return any(
        mark & 7 in _FIELDS and (first | second) & 0x7F
        for mark, first, second in zip(captions[::3], captions[1::3], captions[2::3], strict=False)
    )


def _is_text(stream: Any) -> bool:
    context = getattr(stream, "codec_context", None)
    return context is not None and bool(context.codec.text_sub)


def _kind(stream: Any) -> str:
    context = getattr(stream, "codec_context", None)
    if context is None:
        return "of an unknown kind"
    return f"pictures: {context.name}" if context.codec.bitmap_sub else f"of the kind {context.name}"
