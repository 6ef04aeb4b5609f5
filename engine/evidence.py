"""Why moments were found: the lists each is in, its rank there, and what is said or written there."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np

from engine import channels, words
from engine.temporal import demoted
from engine.texts import MEANING, SEEN, TEXTS, WRITTEN, Line, ListName, Sources
from engine.types import Doubles, Hits, Proposals, Ranked

# Moments whose spans are read off their lines, the best ones: each costs tens of microseconds.
MOST_SPANS = 50
# Seconds around what is said that belong to the moment, chosen on val of the rendered worlds; what is written
# is its own span.
AROUND = 3.0
# Of a line, the share that a trained ranker's span must have to stay, and the seconds around the line beyond
# which it is cut. Chosen on the same val.
COVERED = 0.8
FARTHEST = 10.0
PICTURES = ListName(SEEN, MEANING)


class LineReader(Protocol):
    """What has the lines of a version's videos, by ordinal."""

    def lines(self, video: int, channel: str, start: float, end: float) -> list[Line]:
        """Return the lines of a channel that are there in [start, end) seconds."""
        ...


@dataclass(frozen=True, slots=True)
class Finding:
    """A list that a moment is in. rank: from 0, of its best segment. line: what fits best there.

    pieces: of the line's text, True for words of the query; joined they are all of it. part: of a query of
    several parts, from 0.
    """

    name: ListName
    rank: int
    line: Line | None = None
    pieces: Sequence[tuple[str, bool]] = ()
    part: int = 0


@dataclass(frozen=True, eq=False, slots=True)
class Evidence:
    """The lists of one answer, with the texts of the version that gave it. What reads them reads files."""

    sources: Sources
    texts: LineReader
    segment_length: float
    _matched: dict[str, list[tuple[str, bool]]] = field(default_factory=dict)
    _fits: dict[tuple[str, int, int], Line | None] = field(default_factory=dict)

    @property
    def lists(self) -> list[tuple[ListName, Hits]]:
        """What was found, list by list."""
        return [(PICTURES, self.sources.seen), *((one.name, one.hits) for one in self.sources.texts)]

    def of(self, proposals: Proposals) -> list[list[Finding]]:
        """Return what found each proposal, the best rank first."""
        found: list[list[Finding]] = [[] for _ in range(len(proposals))]
        for name, hits in self.lists:
            ranks = channels.ranks(proposals, hits, self.segment_length)
            for row in np.flatnonzero(ranks < len(hits)).tolist():
                rank, line = int(ranks[row]), None
                if name.channel in TEXTS:
                    line = self._fitting(name, int(hits.videos[rank]), int(hits.segments[rank]))
                found[row].append(Finding(name, rank, line, self._pieces(line.text) if line else ()))
        return [sorted(one, key=lambda finding: finding.rank) for one in found]

    def spans(self, ranked: Ranked, proposals: Proposals, durations: Doubles) -> Ranked:
        """Return ranked proposals; those that texts found have their best line's span, AROUND what is said.

        A trained ranker's span stays, up to FARTHEST from the line, where speech found it best and it covers
        the line: the ranker has learned to what a line belongs, but reads no screen. durations: (videos,)
        seconds by ordinal.
        """
        lists = [one for one in self.sources.texts if len(one.hits)]
        if not lists:
            return ranked
        ranks = np.stack([channels.ranks(proposals, one.hits, self.segment_length) for one in lists])
        nowhere = np.iinfo(np.int64).max
        ranks[ranks == np.array([[len(one.hits)] for one in lists])] = nowhere
        best, spans = ranks.argmin(axis=0), ranked.spans.copy()
        rows = np.flatnonzero(ranks.min(axis=0) < nowhere)
        for row in rows[np.argsort(-ranked.scores[rows], kind="stable")[:MOST_SPANS]].tolist():
            one = lists[best[row]]
            segment = int(one.hits.segments[ranks[best[row], row]])
            video = int(proposals.videos[row])
            line = self._fitting(one.name, video, segment)
            if line is None or line.start >= durations[video]:
                continue
            if one.name.channel == WRITTEN:
                own = line.start, line.end
            elif ranked.trained and _covers(spans[row], line):
                own = max(spans[row, 0], line.start - FARTHEST), min(spans[row, 1], line.end + FARTHEST)
            else:
                own = line.start - AROUND, line.end + AROUND
            spans[row] = max(0.0, own[0]), min(own[1], durations[video])
        if np.array_equal(spans, ranked.spans):
            return ranked
        scores = demoted(ranked.scores, proposals.videos, spans, channels.OVERLAP)
        return replace(ranked, spans=spans, scores=scores)

    def _fitting(self, name: ListName, video: int, segment: int) -> Line | None:
        """Return the line of a segment with most of the query's words, of equal ones the longest there."""
        key = name.channel, video, segment
        if key not in self._fits:
            start = segment * self.segment_length
            end = start + self.segment_length
            lines = self.texts.lines(video, name.channel, start, end)
            if len(lines) > 1:
                longest = (min(line.end, end) - max(line.start, start) for line in lines)
                worth = [(self._words(line), more) for line, more in zip(lines, longest, strict=True)]
                lines = [lines[worth.index(max(worth))]]
            self._fits[key] = lines[0] if lines else None
        return self._fits[key]

    def _words(self, line: Line) -> int:
        """Return the characters of a line that are words of the query."""
        return sum(len(text) for text, is_word in self._pieces(line.text) if is_word)

    def _pieces(self, text: str) -> list[tuple[str, bool]]:
        known = self._matched.get(text)
        if known is None:
            known = self._matched[text] = words.matched(text, self.sources.text)
        return known


def _covers(span: Doubles, line: Line) -> bool:
    """Tell whether a span (2,) has enough of a line."""
    both = min(span[1], line.end) - max(span[0], line.start)
    return bool(both >= COVERED * (line.end - line.start))
