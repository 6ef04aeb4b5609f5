"""Subtitles beside a video or inside it: sentences with their times, and their rows on the feature grid."""

from __future__ import annotations  # av.Packet is generic to type checkers only

import codecs
import html
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil, floor
from pathlib import Path
from typing import Any

import av.error
import numpy as np
import pysubs2
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition
from av.subtitles.stream import SubtitleStream
from numpy.typing import NDArray

from engine.errors import InvalidInput

SIDECARS = (".srt", ".vtt")
TEXT_CODECS = {"ass", "ssa", "subrip", "srt", "mov_text", "webvtt", "text"}

# <i>, </font>, <c.yellow>, <v Anna>, <00:01.500>; not "a < b".
_TAG = re.compile(r"</?[A-Za-z0-9][^<>]*>|</>")
_ASS_OVERRIDE = re.compile(r"\{[^{}]*\}")
_ASS_BREAK = re.compile(r"\\[Nnh]")


@dataclass(frozen=True, slots=True)
class Cue:
    """A sentence and when it is on screen: seconds, half-open."""

    start: float
    end: float
    text: str

    def shifted(self, seconds: float) -> Cue:
        """Return the cue `seconds` later."""
        return replace(self, start=self.start + seconds, end=self.end + seconds)


def clean(text: str) -> str:
    """Return the words alone: no tags, overrides, entities or line breaks; "" where no word is left.

    >>> clean("{\\\\an8}<i>Hello,</i>\\\\N&amp; good\\nbye")
    'Hello, & good bye'
    """
    text = _ASS_BREAK.sub(" ", _ASS_OVERRIDE.sub("", text))
    text = " ".join(html.unescape(_TAG.sub("", text)).split())
    return text if any(char.isalnum() for char in text) else ""


def read_sidecar(path: Path) -> list[Cue]:
    """Read an .srt or .vtt file of any usual encoding; InvalidInput for one without a single cue."""
    text = _decode(path.read_bytes())
    try:
        events = pysubs2.SSAFile.from_string(text, format_=path.suffix.lower().lstrip(".")).events
    except (pysubs2.exceptions.Pysubs2Error, ValueError, IndexError) as error:
        raise InvalidInput(f"{path} is not a subtitle file ({error}); repair or remove it") from error
    cues = [Cue(event.start / 1000, event.end / 1000, clean(event.text)) for event in events]
    if not cues and text.strip().removeprefix("WEBVTT").strip():
        raise InvalidInput(f"{path} has text but no subtitle with its times; repair or remove it")
    return usable(cues)


def pick_text_track(container: InputContainer) -> SubtitleStream | None:
    """Return the text track a player would show: the default first, forced ones (foreign parts) last."""
    tracks = [s for s in container.streams.subtitles if _codec(s) in TEXT_CODECS]

    def order(track: SubtitleStream) -> tuple[bool, bool, int]:
        flags = track.disposition
        return (bool(flags & Disposition.forced), not flags & Disposition.default, track.index)

    return min(tracks, key=order, default=None)


def embedded_cues(packet: Packet[Any]) -> list[Cue]:
    """Decode one subtitle packet: times on the container's clock. A damaged packet has none."""
    if packet.pts is None or not packet.size or not packet.time_base:
        return []
    try:
        parts = packet.decode()
    except av.error.FFmpegError:
        return []
    # A dialogue's text is its last comma-separated field; FFmpeg gives every text codec that form.
    texts = [clean(part.dialogue.decode("utf-8", "replace")) for part in parts if hasattr(part, "dialogue")]
    start = float(packet.pts * packet.time_base)
    length = float((packet.duration or 0) * packet.time_base)
    return usable([Cue(start, start + length, text) for text in texts])


def usable(cues: Sequence[Cue]) -> list[Cue]:
    """Return the cues that say something for some time, by start."""
    return sorted((cue for cue in cues if cue.text and cue.end > cue.start), key=lambda cue: cue.start)


def subtitle_rows(
    cues: Sequence[Cue], vectors: Mapping[str, NDArray[np.float32]], rows: int, fps: Fraction, dim: int
) -> NDArray[np.float32]:
    """Return (rows, dim): row k is the maximum over the sentences shown in [k, k+1) / fps, zero where none.

    vectors: text -> (dim,).
    """
    out = np.zeros((rows, dim), np.float32)
    taken = np.zeros(rows, bool)
    for cue in cues:
        first = max(0, floor(Fraction(cue.start) * fps))
        last = min(rows, ceil(Fraction(cue.end) * fps))
        for row in range(first, last):
            out[row] = np.maximum(out[row], vectors[cue.text]) if taken[row] else vectors[cue.text]
            taken[row] = True
    return out


def _codec(stream: Any) -> str:
    context = getattr(stream, "codec_context", None)
    return context.name if context is not None else ""


def _decode(data: bytes) -> str:
    """Decode by byte order mark, then UTF-8, UTF-16 without a mark, and what Windows wrote in the West."""
    marks = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
    for mark, encoding in marks.items():
        if data.startswith(mark):
            return data.decode(encoding, "replace")
    zeros = data[:200].count(0)
    if zeros > len(data[:200]) // 4:
        return data.decode("utf-16-le" if data[1:2] == b"\0" else "utf-16-be", "replace")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace") if not _controls(data) else data.decode("latin-1")


def _controls(data: bytes) -> bool:
    """Whether bytes occur that cp1252 leaves undefined."""
    return any(byte in data for byte in b"\x81\x8d\x8f\x90\x9d")
