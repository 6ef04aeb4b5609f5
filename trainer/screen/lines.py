"""Readings of a video's screen to lines: a text that stands through many readings is one."""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from engine.texts import Box, Line
from trainer.screen.engine import Reading
from trainer.screen.watching import RATE, Grey, changed, within

# What was seen of a text at a look, and not at the one before, began between the two.
_HALF = float(1 / RATE) / 2
# Seconds for which readings may miss a text that stands.
_GAP = 2.0
# Two readings of one place are of one text if they agree so far, and in every digit.
_ALIKE, _SAME_PLACE = 0.8, 0.5


@dataclass(slots=True)
class _Standing:
    """A text and since when it stands. end: None while it does."""

    reading: Reading
    begin: float
    end: float | None = None


class Lines:
    """The lines of a video, from its readings in order of time."""

    def __init__(self) -> None:
        self._all: list[_Standing] = []
        self._near: list[_Standing] = []

    def take(
        self, readings: Sequence[Reading], history: Sequence[tuple[float, Grey]], last: Grey | None
    ) -> bool:
        """Take what was read in the last picture of `history`; return whether letters of it are new.

        history: times and pictures since something changed; last: the picture of the reading before.
        """
        self._near = [text for text in self._near if _until(text) >= history[0][0] - _GAP]
        free, something_new = list(self._near), False
        for reading in readings:
            found = _match(reading, free)
            if found is None:
                found = _Standing(reading, _begin(reading.box, history))
                self._all.append(found)
                self._near.append(found)
                something_new |= not any(_letters(reading) == _letters(text.reading) for text in free)
            else:
                free = [text for text in free if text is not found]
                found.end = None
                if _rank(reading) > _rank(found.reading):
                    found.reading = reading
        for text in free:
            if text.end is None:
                text.end = _end(text.reading.box, history, last)
        return something_new

    def close(self, duration: float) -> list[Line]:
        """Return the lines of a video of so many seconds, by start."""
        lines = []
        for text in self._all:
            end = min(duration, _until(text))
            if end > text.begin:
                lines.append(Line(text.begin, end, text.reading.text, text.reading.box))
        return sorted(lines, key=lambda line: (line.start, line.box))


def _rank(reading: Reading) -> tuple[int, float]:
    """Return how good a reading is among those of one text: recognisers lose spaces, and invent none."""
    return len(reading.text.split()), reading.score


def _until(text: _Standing) -> float:
    return float("inf") if text.end is None else text.end


def _begin(box: Box, history: Sequence[tuple[float, Grey]]) -> float:
    """Return since when a text's place looks as it does now; half of the history where it moves."""
    now, picture = history[-1]
    begin = now
    for time, grey in reversed(history[:-1]):
        if within(changed(grey, picture), box):
            break
        begin = time
    if begin == now:
        begin = (history[0][0] + now) / 2
    return max(0.0, begin - _HALF)


def _end(box: Box, history: Sequence[tuple[float, Grey]], last: Grey | None) -> float:
    """Return from when on a text's place looks otherwise than at the last reading; half where it moves."""
    now, picture = history[-1]
    gone = next(
        (each for each in history if last is None or within(changed(each[1], last), box)), history[-1]
    )
    moves = within(changed(gone[1], picture), box)
    return ((gone[0] + now) / 2 if moves else gone[0]) - _HALF


def _match(reading: Reading, texts: Sequence[_Standing]) -> _Standing | None:
    """Return the text that a reading is of, of several the one nearest to its place."""
    same = [text for text in texts if _same(reading, text.reading)]
    return max(same, key=lambda text: _overlap(reading.box, text.reading.box), default=None)


def _same(one: Reading, other: Reading) -> bool:
    words, others = _plain(one.text), _plain(other.text)
    if words == others:
        return True
    if _overlap(one.box, other.box) < _SAME_PLACE or _digits(words) != _digits(others):
        return False
    return SequenceMatcher(None, words, others, autojunk=False).ratio() >= _ALIKE


def _plain(text: str) -> str:
    return "".join(char for char in text.casefold() if char.isalnum())


def _digits(text: str) -> str:
    return "".join(char for char in text if char.isdecimal())


def _letters(reading: Reading) -> str:
    """Return a text without digits: a clock is not new each second."""
    return "".join(char for char in _plain(reading.text) if not char.isdecimal())


def _overlap(one: Box, other: Box) -> float:
    """Return the intersection over union of two boxes."""
    wide = min(one[2], other[2]) - max(one[0], other[0])
    high = min(one[3], other[3]) - max(one[1], other[1])
    if wide <= 0 or high <= 0:
        return 0.0
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return wide * high / (sum(areas) - wide * high)
