"""Answers as plain values. Times are seconds from the video's first frame; spans are half-open."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TypeAlias

from spr_client.composed import Composed, Duplicate, Interpretation
from spr_client.evidence import Finding
from spr_client.parts import Part


@dataclass(frozen=True, slots=True)
class Moment:
    """One hit: `[start, end)` seconds of a video.

    rank: from 1, over all pages. score: higher is better, within one result and among moments that are alike
    refined or not. proposal_start, proposal_end: the coarse moment it was refined from; the same as the span
    where `refined` is False. relevance: the ranker's, 0 where not refined. uri: the source file, as much
    of it as the server tells.
    confidence: the probability that the moment is relevant, None where the ranker says none. parts: of a
    query of several parts where each lies, seconds. also_in: other videos that show the same. found_by: what
    found it, the best rank first, part after part; empty where no texts are searched, and of examples.
    best: the second that looks most like the query, of several parts in the first; None where not refined.
    """

    video: str
    start: float
    end: float
    rank: int
    score: float
    refined: bool
    relevance: float
    proposal_start: float
    proposal_end: float
    proposal_rank: int
    uri: str = ""
    confidence: float | None = None
    parts: tuple[tuple[float, float], ...] = ()
    also_in: tuple[Duplicate, ...] = ()
    found_by: tuple[Finding, ...] = ()
    best: float | None = None

    @property
    def duration(self) -> float:
        """Seconds."""
        return self.end - self.start

    def __str__(self) -> str:
        return f"{self.video} {clock(self.start)}-{clock(self.end)}"


@dataclass(frozen=True, slots=True)
class Coverage:
    """What part of the corpus an answer speaks for.

    ratio: 0..1 of the videos. degraded: "SHARD_TIMEOUT", "SHARD_UNAVAILABLE", "RANKER_SKIPPED".
    unreachable: names of the shards that did not answer.
    """

    shards_total: int
    shards_answered: int
    videos_total: int
    videos_searched: int
    ratio: float
    degraded: tuple[str, ...] = ()
    unreachable: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Facet:
    """How many videos of an answer, and moments of theirs, have a label."""

    label: str
    videos: int
    moments: int


@dataclass(frozen=True, slots=True)
class SearchResult:
    """One page of an answer.

    total: moments over all pages. next_page: pass it as `page_token`; empty on the last page.
    ranker: which ranker spoke ("relo@...", "similarity-curve"), empty when nothing was refined.
    timings: seconds by stage. refined: True for the final list, False for the coarse one.
    no_confident_match: no moment, over all pages, has a confidence of confidence_threshold or more; the
    threshold is None where the ranker says no confidence. query_truncated: the sentence was longer than the
    encoder reads; its end was left out. facets: labels of the videos of all moments, where they were asked
    for. videos_allowed: videos that the filter lets through, None without one. interpretation: what was made
    of the text, None unless asked for.
    """

    moments: tuple[Moment, ...]
    total: int
    next_page: str
    request_id: str
    coverage: Coverage
    collection: str
    generation: str
    embedding_model: str
    ranker: str
    timings: Mapping[str, float]
    refined: bool
    no_confident_match: bool = False
    confidence_threshold: float | None = None
    query_truncated: bool = False
    facets: tuple[Facet, ...] = ()
    videos_allowed: int | None = None
    interpretation: Interpretation | None = None

    def _repr_html_(self) -> str:
        """Return a table for notebooks; SPR_PAGE, the web page's address, adds thumbnails and players."""
        from spr_client.display import table

        return table(self, os.environ.get("SPR_PAGE", ""))


@dataclass(frozen=True, slots=True)
class Embedding:
    """A query vector in the index's space, and the fingerprint of the model that made it."""

    vector: tuple[float, ...]
    model: str


Query: TypeAlias = str | Part | Composed | Embedding


@dataclass(frozen=True, slots=True)
class Video:
    """A video of a collection. duration: seconds. date: told beside it, else its file's; None: unknown.

    uri: as much as the server tells. added: when it was ingested first; None: unknown.
    """

    id: str
    uri: str
    duration: float
    labels: tuple[str, ...]
    date: datetime | None
    added: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """What may be found; all that is given has to hold.

    videos: ids. labels: with one of these at least; all_labels: with all; no_labels: with none. folder: of
    the file, "news" or "news/2024", or its whole path. after, before: the video's date, the second excluded;
    UTC where no zone is said. longer, shorter: its duration, both included, seconds. The part of every video
    that is searched: start, end in seconds, or part, two shares of its duration.
    """

    videos: Sequence[str] = ()
    labels: Sequence[str] = ()
    all_labels: Sequence[str] = ()
    no_labels: Sequence[str] = ()
    folder: str = ""
    after: date | None = None
    before: date | None = None
    longer: float | None = None
    shorter: float | None = None
    start: float | None = None
    end: float | None = None
    part: tuple[float, float] | None = None


# Options of which one says how segments become proposals.
RULES = ("adjacent", "constant_gap", "adaptive_gap", "peaks")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How to answer; None leaves the choice to the server.

    segment_top_k: segments fetched before merging. proposal_top_k: proposals the ranker sees. nprobe: IVF
    lists probed. rerank: False for the coarse list. nms_iou: drop moments that overlap a better one by more.
    min_coverage: fail below this share of the videos. How segments become proposals, at most one of these:
    adjacent: True for runs of adjacent ones. constant_gap, adaptive_gap: and bridge gaps between them, by
    number or by share. peaks: the best of neighbours, with so many segments more on both sides.
    filter: what may be found. per_video: the best so many moments of a video. grouped: a video's moments
    together. facets: count the labels of the videos found. merge_duplicates: moments of different videos that
    show the same pictures are one, with the others in `also_in`. interpret: read a text for order, negatives
    and filters, by rules for English. literal_words: words of the text that this leaves alone. channels:
    where a text is sought, of "seen", "said" and "written"; empty: in all that there are.
    """

    segment_top_k: int | None = None
    proposal_top_k: int | None = None
    nprobe: int | None = None
    rerank: bool | None = None
    nms_iou: float | None = None
    min_coverage: float | None = None
    constant_gap: int | None = None
    adaptive_gap: float | None = None
    adjacent: bool | None = None
    peaks: int | None = None
    filter: Filter | None = None
    per_video: int | None = None
    grouped: bool | None = None
    facets: bool | None = None
    merge_duplicates: bool | None = None
    interpret: bool = False
    literal_words: Sequence[str] = ()
    channels: Sequence[str] = ()


def clock(seconds: float) -> str:
    """Return seconds as m:ss.t, or h:mm:ss.t from an hour on; the tenth is left out when it is 0."""
    tenths = round(seconds * 10)
    whole, tenth = divmod(tenths, 10)
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    text = f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
    return f"{text}.{tenth}" if tenth else text
