"""What a text asks for beyond a description, by rules for English: order, negatives, filters, questions.

Pure functions over text. Rules are conservative: in doubt words stay in the text, as a search for them does
less harm than a filter that nobody asked for. What is lifted out is told, and can be undone one by one.
"""

import functools
import re
from collections.abc import Callable, Iterable

from engine.interpretation_filters import FILTERS
from engine.interpretation_questions import statement
from engine.queries import LONGEST_TEXT, MOST_NEGATIVES, MOST_PARTS, Interpretation, Lift
from engine.texts import CHANNELS
from spr.v1 import search_service_pb2 as pb

MOST_LITERAL = 100
# Ends of a negative text: punctuation, or the next part of a sequence.
_STOP = r"(?=\s*(?:[,;.?]|$|\band then\b|\bbut\b|\bwithout\b))"
_NOUNS = r"[^,;.?]+?"
# "not at night", "but not a car". "Not looking", "not on", "no one" and "no longer" stay in the text.
_NEGATIVES = (
    rf"(?:,\s*)?(?:\bbut\s+)?\bnot\s+(?P<what>(?:at|in|on|during|near|by|inside|outside|from)\s+{_NOUNS}){_STOP}",
    rf"(?:,\s*(?:but\s+)?|\bbut\s+)not\s+(?P<what>(?:an?|the|any)\s+{_NOUNS}){_STOP}",
    rf"(?:,\s*)?(?:\bbut\s+)?\bwithout\s+(?P<what>(?!\w+ing\b){_NOUNS}){_STOP}",
    r"(?:,\s*(?:(?:but|and|with)\s+)?|\b(?:but|and|with)\s+)no\s+"
    rf"(?P<what>(?!one\b|longer\b|matter\b|doubt\b|more\b|parking\b|smoking\b|entry\b){_NOUNS}){_STOP}",
)
_CHANNEL = re.compile(rf"(?<!\S)in:(?P<channel>{'|'.join(CHANNELS)})(?=[\s,;.?]|$)", re.IGNORECASE)
_ORDER = re.compile(
    r"\s*(?:[,;.]\s*(?:and\s+)?(?:then|after\s+that|afterwards|followed\s+by)|\band\s+then)\b,?\s+",
    re.IGNORECASE,
)
# What begins with one of these is a clause with a subject, or a noun; "then stops" has none.
_SUBJECTS = frozenset(
    "a an the one two three four five some many several another his her their he she it they we i you "
    "someone somebody something people everyone nobody there".split()
)


def of(request: pb.SearchRequest) -> Interpretation | None:
    """Return what a request's text is taken for; None for one that is to be searched as it stands."""
    if not request.interpret or request.WhichOneof("query") != "text":
        return None
    if len(request.text) > LONGEST_TEXT or len(request.literal_words) > MOST_LITERAL:
        return None  # It will be refused.
    own = request.filter.SerializeToString(deterministic=True)
    return _kept(request.text, tuple(request.literal_words), own, bool(request.params.channels))


@functools.lru_cache(maxsize=256)
def _kept(text: str, literal: tuple[str, ...], own: bytes, chosen: bool) -> Interpretation:
    return interpret(text, literal, pb.Filter.FromString(own), chosen)


def interpret(
    text: str, literal: Iterable[str] = (), own: pb.Filter | None = None, chosen: bool = False
) -> Interpretation:
    """Read a text. literal: words of lifts to leave alone. own: the filter that is there already.

    chosen: whether it is chosen already in which channels the text is sought.
    """
    reading = _Reading(_spaced(text), literal, own)
    if not chosen:
        reading.choose()
    reading.filters()
    reading.negatives()
    parts = [reading.stated(part) for part in reading.parts()]
    if not reading.lifts:
        parts = [text.strip()]
    return Interpretation(
        parts[0],
        tuple(parts[1:]),
        tuple(reading.not_texts),
        reading.filter,
        tuple(sorted(reading.lifts, key=lambda lift: reading.original.find(lift.words))),
        tuple(reading.channels),
    )


class _Reading:
    """A text that is being read: what is left of it, and what was lifted so far."""

    def __init__(self, text: str, literal: Iterable[str], own: pb.Filter | None) -> None:
        self.original = self.left = text
        self.filter = pb.Filter()
        if own is not None:
            self.filter.CopyFrom(own)
        self.not_texts: list[str] = []
        self.channels: list[str] = []
        self.lifts: list[Lift] = []
        self._literal = {_spaced(words).casefold() for words in literal}

    def choose(self) -> None:
        """Lift in which channels it is sought: "in:said"."""
        self._lift(_CHANNEL, self._channel)

    def filters(self) -> None:
        """Lift what says which videos, and which part of them; what is set already stands."""
        for pattern, put in FILTERS:
            self._lift(pattern, lambda match, put=put: put(match, self.filter))  # type: ignore[misc]

    def negatives(self) -> None:
        """Lift what must not be there."""
        for pattern in _NEGATIVES:
            self._lift(re.compile(pattern, re.IGNORECASE), self._negative)

    def parts(self) -> list[str]:
        """Split what is left at "then"."""
        parts, begin = list[str](), 0
        for match in _ORDER.finditer(self.left):
            words = match.group().strip()
            full = len(parts) == MOST_PARTS - 1
            if full or self._is_literal(words) or not _is_clause(self.left[match.end() :]):
                continue
            if not (before := _tidy(self.left[begin : match.start()])):
                continue
            parts.append(before)
            self.lifts.append(Lift(words, "in this order"))
            begin = match.end()
        return [*parts, _tidy(self.left[begin:])]

    def stated(self, part: str) -> str:
        """Turn a question, or a request to show something, into a statement."""
        words, stated = statement(part, asked=self.original.endswith("?"))
        if not words or not stated or self._is_literal(words):
            return part
        self.lifts.append(Lift(words, f"a question about: {stated}"))
        return stated

    def _channel(self, match: re.Match[str]) -> str:
        channel = match["channel"].lower()
        self.channels.append(channel)
        return f"in what is {channel} alone" if len(self.channels) == 1 else f"and in what is {channel}"

    def _negative(self, match: re.Match[str]) -> str:
        if len(self.not_texts) == MOST_NEGATIVES:
            return ""
        what = match["what"].strip()
        self.not_texts.append(re.sub(r"^any\s+", "", what, flags=re.IGNORECASE))
        return f"must not show: {self.not_texts[-1]}"

    def _lift(self, pattern: re.Pattern[str], put: Callable[[re.Match[str]], str]) -> None:
        """Cut out what matches and `put` takes; something has to be left."""
        begin = 0
        while (match := pattern.search(self.left, begin)) is not None:
            words = match.group().strip(" ,")
            rest = _tidy(self.left[: match.start()] + " " + self.left[match.end() :])
            begin = match.end()
            if _is_bare(rest) or self._is_literal(words) or not (meaning := put(match)):
                continue
            self.lifts.append(Lift(words, meaning))
            # A space keeps what stood on both sides apart, and a comma in front of what follows.
            after = self.left[match.end() :]
            self.left = _spaced(f"{self.left[: match.start()]} {after}").replace(" ,", ",")
            begin = 0

    def _is_literal(self, words: str) -> bool:
        return words.casefold() in self._literal


def _is_clause(text: str) -> bool:
    """Whether what follows "then" can be searched for by itself."""
    words = re.split(r"[,;.]", text.casefold())[0].split()
    if not words:
        return False
    return words[0] in _SUBJECTS or (len(words) > 1 and not words[0].endswith(("s", "ing", "ed")))


def _is_bare(text: str) -> bool:
    """Whether nothing is left to search for."""
    return statement(text)[1].casefold() in ("", "videos", "moments", "clips", "scenes", "in", "anything")


def _spaced(text: str) -> str:
    return " ".join(text.split())


def _tidy(text: str) -> str:
    return _spaced(text).strip(" ,;?").removesuffix(".").strip(" ,;?")
