"""Subtitle files' grammar: SubRip, WebVTT and ASS/SSA texts into cues. What a file is, its content says."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from engine.errors import InvalidInput
from trainer.ingest.markup import lines
from trainer.ingest.subtitles import LONGEST_CUE, MOST_CUES, Cue

# Translation programs put spaces behind colons, or write those of Chinese.
_COLON = " ?[:\uff1a] ?"
_TIME = rf"(-?(?:-?\d{{1,9}}{_COLON})?-?\d{{1,2}}{_COLON}-?\d{{1,2}}(?: ?[.,:;\uff0c\uff1a] ?-?\d{{1,9}})?)"
_TIMING = re.compile(rf"\s*{_TIME}\s*--+>\s*{_TIME}(?:\s.*)?")
# The arrow as people and word processors write it: ->, =>, an en or em dash and >, one character.
_OTHER_ARROW = re.compile(
    rf"^([ \t]*{_TIME}[ \t]*)(?:->|=+>|[\u2013\u2014]-?>|\u2192)(?=[ \t]*{_TIME}(?:\s|$))", re.M
)
# Anything else, as YouTube's SBV and people have it; only between full times, for 9:30 - 12:00 may be said.
_FULL_TIME = r"\d{1,3}:\d{2}:\d{2}[.,]\d{2,3}"
_NO_ARROW = re.compile(rf"^([ \t]*{_FULL_TIME})(?!\s*-->)[^\d\n]{{1,6}}(?={_FULL_TIME}[ \t]*$)", re.M)
_CLOCK = re.compile(rf"\d{_COLON}-?\d")
_EMPTY_LINE = re.compile(r"\n[ \t]*\n\s*")
_ASS = re.compile(
    r"^[ \t]*(?:\[(?:script info|v4\+? styles\+?|events)\]|dialogue:\s*(?:marked=)?\d)", re.I | re.M
)
_ASS_LINE = re.compile(r"^[ \t]*(\[[^\n\]]*\]|format(?=:)|dialogue(?=:)):?([^\n]*)", re.I | re.M)
_ASS_FIELDS = "layer start end style name marginl marginr marginv effect text".split()
VTT_ASIDES = ("webvtt", "NOTE", "STYLE", "REGION", "WEBVTT", "X-TIMESTAMP-MAP", "Kind:", "Language:")
_AS_MEANT = str.maketrans(",;\uff0c\uff1a", "...:")
Times = tuple[float, float]


@dataclass(slots=True)
class ParsedSubtitles:
    """What was read. untimed, long, wordless: cues left out for times, length, or as nothing is said."""

    cues: list[Cue] = field(default_factory=list)
    untimed: int = 0
    long: int = 0
    wordless: int = 0

    def add(self, times: Times | None, text: str, *, ass: bool = False) -> None:
        """Take a cue, or count why it is left out."""
        text = text.strip()
        if times is None or times[1] <= max(0.0, times[0]):
            self.untimed += 1
        elif len(text) > LONGEST_CUE:
            self.long += 1
        elif words := lines(text, ass=ass):
            self.cues.append(Cue(max(0.0, times[0]), times[1], "\n".join(words)))
        else:
            self.wordless += 1


def parse(text: str, *, suffix: str = "", most_cues: int = MOST_CUES) -> ParsedSubtitles:
    """Read a subtitle text; InvalidInput for one of too many cues.

    suffix: decides only between SubRip and a WebVTT text without its signature. Time grows with the length
    of the text: it is searched for the lines that hold times, never taken apart line by line.
    """
    text = text.replace("\r\r\n", "\n").replace("\r\n", "\n").replace("\r", "\n").lstrip("\ufeff \t\n")
    text = _NO_ARROW.sub(r"\1-->", _OTHER_ARROW.sub(r"\1-->", text))
    # Before anything is read: to find out by reading them takes seconds.
    if text.count("-->") > most_cues or len(re.findall(r"^dialogue:", text, re.I | re.M)) > most_cues:
        raise InvalidInput(
            f"it has more than {most_cues} cues; leave out what is no speech, or raise --max-subtitle-mb"
        )
    found = ParsedSubtitles()
    if _ASS.search(text, 0, 10_000) and not text.startswith("WEBVTT"):
        _read_ass(text, found)
    elif text.startswith("WEBVTT") or suffix == ".vtt":
        _read_vtt(text, found)
    else:
        _read_srt(text, found)
    return found


def seconds(stamp: str) -> float:
    """Return a time of any of the formats in seconds; a minus anywhere makes all of it negative.

    >>> seconds("100:00:02,500"), seconds("01:02.5"), seconds("00:00:-1,-500")
    (360002.5, 62.5, -1.5)
    """
    whole, _, fraction = re.sub(r"[- ]", "", stamp).translate(_AS_MEANT).partition(".")
    parts = whole.split(":")
    if not fraction and len(parts) == 4:  # hours:minutes:seconds:milliseconds
        fraction = parts.pop()
    value = 0
    for part in parts:
        value = value * 60 + int(part)
    size = value + float(f"0.{fraction or 0}")
    return -size if "-" in stamp else size


def _pieces(text: str, *, every_arrow: bool) -> Iterator[tuple[Times | None, str]]:
    """Cut a text at its lines of times; yield what the times are, None for bad ones, and the lines after.

    The first piece is what comes before any. every_arrow: a line with an arrow and no times is cut at too.
    """
    times: Times | None = None
    start = at = 0
    while (arrow := text.find("-->", at)) >= 0:
        begin = text.rfind("\n", at, arrow) + 1 or at
        end = text.find("\n", arrow)
        at = len(text) if end < 0 else end
        line = text[begin:at][: LONGEST_CUE + 1]
        found = timing(line)
        if found is None and not every_arrow and not _CLOCK.search(line):
            continue
        yield times, text[start:begin]
        times, start = found, at
    yield times, text[start:]


def timing(line: str) -> Times | None:
    """Return the times of a line `start --> end`; None where it is none."""
    match = _TIMING.fullmatch(line)
    return None if match is None else (seconds(match[1]), seconds(match[2]))


def _read_srt(text: str, found: ParsedSubtitles) -> None:
    """Read cues: a line of times and what follows up to the next one, less the counter before that."""
    pieces = list(_pieces(text, every_arrow=False))
    count = _last_line(pieces[0][1])
    number = int(count) if _is_counter(count) else None
    for index, (times, body) in enumerate(pieces[1:], 2):
        body, number = _without_counter(body, number, last=index == len(pieces))
        found.add(times, body)


def _without_counter(body: str, number: int | None, *, last: bool) -> tuple[str, int | None]:
    """Take the next cue's counter off a cue's lines; return them and that counter.

    number: this cue's counter, None where cues have none. A counter stands behind an empty line or counts
    on; a number that does neither is speech, and so is the file's last line unless it does both.
    """
    kept = body.rstrip()
    line = _last_line(kept)
    rest = kept[: len(kept) - len(line)]
    alone = rest[len(rest.rstrip()) :].count("\n") > 1
    adjacent = not last and body[len(kept) :].count("\n") == 1
    follows = number is not None and line == str(number + 1)
    following = None if number is None else number + 1
    if (alone and adjacent) or (follows and (alone or adjacent or not (last or rest.strip()))):
        return rest, int(line) if _is_counter(line) else following
    return body, following


def _last_line(body: str) -> str:
    return body.rstrip()[-LONGEST_CUE:].rpartition("\n")[2].strip()


def _is_counter(line: str) -> bool:
    return line.isdecimal() and len(line) < 10


def _read_vtt(text: str, found: ParsedSubtitles) -> None:
    """Read cues: blocks between empty lines: perhaps a name, the times, and the words."""
    pieces = list(_pieces(text, every_arrow=True))
    for index, (times, body) in enumerate(pieces):
        words, *others = _EMPTY_LINE.split(body.removeprefix("\n"), 1000)
        if index:
            found.add(times, words)
        else:
            others.insert(0, words)
        if index + 1 < len(pieces) and others:
            others.pop()  # the next cue's name
        found.untimed += sum(bool(o.strip()) and not o.startswith(VTT_ASIDES) for o in others)


def _read_ass(text: str, found: ParsedSubtitles) -> None:
    """Read cues: lines "Dialogue:" of fields that a line "Format:" names; the last one is the text."""
    fields, events = _ASS_FIELDS, True
    for match in _ASS_LINE.finditer(text):
        key, value = match[1].lower(), match[2]
        if key.startswith("["):
            events = key == "[events]"
        elif key == "format" and events:
            fields = [name.strip().lower() for name in value[:LONGEST_CUE].split(",")]
        elif key == "dialogue":
            cells = dict(zip(fields, value.split(",", len(fields) - 1), strict=False))
            times = timing(f"{cells.get('start', '')[:50]} --> {cells.get('end', '')[:50]}")
            found.add(times if "text" in cells else None, cells.get("text", ""), ass=True)
