"""Moments as CSV, JSON and WebVTT chapters: in seconds, without a look at the files."""

import csv
import dataclasses
import io
import json
from collections.abc import Sequence

from spr_client import Moment, SearchResult
from spr_gateway.exports.excerpts import by_video
from spr_gateway.speech import vtt
from trainer.ingest.subtitles import Cue

COLUMNS = ("rank", "video", "start", "end", "score", "confidence", "refined", "uri")


def as_csv(query: str, found: SearchResult) -> str:
    """Return a line a moment, with the query in front (RFC 4180)."""
    out = io.StringIO()
    lines = csv.writer(out)
    lines.writerow(("query", *COLUMNS))
    for moment in found.moments:
        lines.writerow((query, *(getattr(moment, name) for name in COLUMNS)))
    return out.getvalue()


def as_json(query: str, found: SearchResult) -> str:
    """Return the whole answer and its query."""
    return json.dumps({"query": query, **dataclasses.asdict(found)}, ensure_ascii=False, indent=1) + "\n"


def as_chapters(query: str, moments: Sequence[Moment]) -> dict[str, str]:
    """Return a WebVTT file for each video: its moments by time, called by query and rank."""
    return {
        video: vtt(Cue(each.start, each.end, title(query, each)) for each in found)
        for video, found in by_video(moments).items()
    }


def title(query: str, moment: Moment) -> str:
    """Return what a moment is called in other programs, on one line."""
    sure = "" if moment.confidence is None else f", {moment.confidence:.0%}"
    return f"{' '.join(query.split())} (#{moment.rank}{sure})"
