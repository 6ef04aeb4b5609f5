"""Where the spans of moments that texts found come from."""

import numpy as np
import pytest

from engine.evidence import AROUND, FARTHEST, Evidence
from engine.texts import SAID, WORDS, WRITTEN, Line, ListName, Sources, TextHits
from engine.types import Doubles, Hits, Proposals, Ranked

SPOKEN, SIGN = Line(21.0, 23.0, "rain in london"), Line(41.5, 44.5, "london")
DURATIONS = np.array([100.0])


class _Lines:
    """Speech at 21 s and a sign at 41.5 s."""

    def lines(self, video: int, channel: str, start: float, end: float) -> list[Line]:
        line = {SAID: SPOKEN, WRITTEN: SIGN}[channel]
        return [line] if line.start < end and line.end > start else []


def _hits(*segments: int) -> Hits:
    numbers = np.array(segments, np.int32)
    return Hits(np.zeros(len(numbers), np.int32), numbers, np.ones(len(numbers), np.float32))


def _ranked(ranker: str, spans: Doubles) -> Ranked:
    n = len(spans)
    return Ranked(ranker, spans, -np.arange(n, dtype=float), np.zeros(n, np.float32), np.ones(n, bool))


def _evidence(said: Hits, written: Hits) -> Evidence:
    texts = TextHits(ListName(SAID, WORDS), said), TextHits(ListName(WRITTEN, WORDS), written)
    return Evidence(Sources("london", _hits(0), texts), _Lines(), 4.0)


PROPOSALS = Proposals(
    np.zeros(3, np.int32),
    np.array([[16.0, 28.0], [36.0, 48.0], [60.0, 72.0]]),
    np.arange(3, dtype=np.int32),
    np.ones(3, np.float32),
)
OWN = np.array([[18.0, 26.0], [37.0, 47.0], [61.0, 70.0]])


@pytest.mark.parametrize(
    ("ranker", "spoken"), [("similarity-curve", (21.0 - AROUND, 23.0 + AROUND)), ("relo@abc", (18.0, 26.0))]
)
def test_what_is_written_is_its_own_span_whoever_ranked(ranker: str, spoken: tuple[float, float]) -> None:
    found = _evidence(_hits(5), _hits(10)).spans(_ranked(ranker, OWN), PROPOSALS, DURATIONS)
    assert found.spans.tolist() == [list(spoken), [SIGN.start, SIGN.end], [61.0, 70.0]]
    assert found.scores.tolist() == [0.0, -1.0, -2.0]


def test_a_trained_span_that_misses_what_is_said_gives_way_to_the_line() -> None:
    spans = OWN.copy()
    for start, own in ((21.3, True), (21.5, False)):
        spans[0] = start, 26.0
        found = _evidence(_hits(5), _hits()).spans(_ranked("relo@abc", spans), PROPOSALS, DURATIONS)
        assert found.spans[0].tolist() == ([start, 26.0] if own else [21.0 - AROUND, 23.0 + AROUND])


def test_a_trained_span_is_cut_where_it_is_far_from_what_is_said() -> None:
    spans = OWN.copy()
    spans[0] = 2.0, 26.0
    found = _evidence(_hits(5), _hits()).spans(_ranked("relo@abc", spans), PROPOSALS, DURATIONS)
    assert found.spans[0].tolist() == [21.0 - FARTHEST, 26.0]


def test_a_trained_span_stays_where_speech_found_the_moment_better() -> None:
    ranked = _ranked("relo@abc", OWN)
    # The sign's segment is the first that speech finds too.
    assert _evidence(_hits(10), _hits(0, 10)).spans(ranked, PROPOSALS, DURATIONS) is ranked
    assert _evidence(_hits(5), _hits()).spans(ranked, PROPOSALS, DURATIONS) is ranked
