"""Subtitles' markup: what of a cue's text is words."""

import html
import re

# The tags of WebVTT, and those of HTML that SubRip files have: <c.yellow>, <v Anna>, <font color="red">.
_NAMES = "a|b|big|c|em|font|i|rp|rt|ruby|s|small|span|strike|strong|sub|sup|u"
# Classes and attributes; what else stands in angle brackets is speech: a <b and c> d.
_MORE = r"(?:\.[^\s<>]*)?(?:\s+[\w-]+\s*=[^<>]*)?\s*/?"
_TAG = re.compile(rf"</?(?:(?:{_NAMES}){_MORE}|(?:lang|v)(?:[.\s][^<>]*)?)>", re.IGNORECASE)
_LINE_BREAK = re.compile(rf"</?(?:br|center|div|p){_MORE}>", re.IGNORECASE)
# Breaks of ASS, which other formats have as well, where they are no part of a path: C:\new.
_PATH = r"(?<!\w)(?:[A-Za-z]:|\\)\\[^\s<>{}]*"
_ASS_BREAK = re.compile(r"\\[Nnh]")
_PATH_OR_BREAK = re.compile(rf"{_PATH}|{_ASS_BREAK.pattern}")
_BREAKS = {"\\N": "\n", "\\n": "\n", "\\h": " "}
_TIME_TAG = re.compile(r"<(?:\d{1,4}:)?\d{1,2}:\d{1,2}[.,]\d{1,3}>")
# <|en|>, <|0.00|>, [_BEG_], [BLANK_AUDIO]: the control marks of speech recognisers.
_RECOGNISER_MARK = re.compile(r"<\|[^<>|]{0,64}\|>|\[(?:BLANK_AUDIO|_BEG_|_TT_\d{1,5})\]")
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
# What tracks of thumbnails have for words: a part of a picture.
_THUMBNAIL = re.compile(r"\s*\S+#xywh=\S+\s*")
# What drones write of every picture: exposure and place.
_TELEMETRY = re.compile(r"\[iso ?: ?\d+\]|\bISO ?: ?\d+ Shutter ?: ?\d|\bSS [\d.]+, ISO \d+, EV\b")
# Braces are overrides or remarks in ASS; elsewhere overrides only, MicroDVD's too; {an aside} is text.
_ASS_BRACES = re.compile(r"(?<!\\)\{([^{}]*)\}")
_OVERRIDE = re.compile(r"\{(\\[^{}]*|[Yy]:[biusBIUS,]{1,8}|[Cc]:\$[0-9A-Fa-f]{1,6}|[Ss]:\d{1,3})\}")
_DRAWING = re.compile(r"\\p\s*(\d{1,9})")
_ESCAPED_BRACE = re.compile(r"\\([{}])")
# Controls, soft hyphens, word joiners, marks of direction, letters that are blank.
_MARKS = (0xAD, 0x200E, 0x200F, *range(0x202A, 0x202F), 0x2060, *range(0x2066, 0x206A), 0xFEFF)
_BLANK = (0x3164, 0xFFA0)
# Between words of scripts without spaces it tells where they end.
_NO_WIDTH = "\u200b"
_UNSEEN = {code: None for code in (*range(9), *range(14, 32), 127, *_MARKS, *_BLANK)}


def clean(text: str, *, ass: bool = False) -> str:
    """Return the words of a cue in one line; see `lines`."""
    return " ".join(lines(text, ass=ass))


def lines(text: str, *, ass: bool = False) -> list[str]:
    """Return the words of a cue's lines: no tags, overrides, drawings or entities; none if none is left.

    Only tags that exist are taken out, each pattern in one pass over the text. ass: of an ASS event.

    >>> lines("{\\\\an8}<i>Hello,</i>\\n&amp; good <3 bye")
    ['Hello,', '& good <3 bye']
    >>> lines("{\\\\p1}m 0 0 l 9 9{\\\\p0} spoken {a remark}", ass=True)
    ['spoken']
    """
    text = _undrawn(text, _ASS_BRACES if ass else _OVERRIDE)
    breaks = _ASS_BREAK if ass else _PATH_OR_BREAK
    text = breaks.sub(lambda found: _BREAKS.get(found[0], found[0]), text)
    text = _LINE_BREAK.sub("\n", _RECOGNISER_MARK.sub(" ", text))
    text = _TAG.sub("", _TIME_TAG.sub("", text))
    text = _ENTITY.sub(lambda entity: html.unescape(entity.group()), text)
    if ass:
        text = _ESCAPED_BRACE.sub(r"\1", text)
    text = text.translate(_UNSEEN)
    if not any(map(str.isalnum, text)) or _THUMBNAIL.fullmatch(text) or _TELEMETRY.search(text):
        return []
    return [words for line in text.split("\n") if (words := _one_line(line))]


def _one_line(text: str) -> str:
    return " ".join(filter(None, (word.strip(_NO_WIDTH) for word in text.split())))


def _undrawn(text: str, braces: re.Pattern[str]) -> str:
    """Take out what is in braces, and what lies between those that begin and end a drawing: \\p1, \\p0."""
    words, *rest = braces.split(text)
    drawing = False
    for override, after in zip(rest[::2], rest[1::2], strict=True):
        if modes := _DRAWING.findall(override):
            drawing = int(modes[-1]) > 0
        words += "" if drawing else after
    return words
