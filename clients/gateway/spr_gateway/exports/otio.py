"""OpenTimelineIO, with its own library.

Its adapters for other formats are not used: they write drop-frame timecode as non-drop (fcp_xml 1.0), no
frame duration and times beside frames' edges (fcpx_xml 1.0), and a rate is a float.
"""

from collections.abc import Sequence
from typing import Any

from engine.errors import InvalidInput
from spr_gateway.exports.excerpts import Excerpt
from spr_gateway.exports.timelines import Shot, laid_out


def as_otio(query: str, excerpts: Sequence[Excerpt]) -> str:
    """Return a timeline with a track for each frame rate; InvalidInput where the library is missing."""
    schema, _ = _library()
    timeline = schema.Timeline(name=query)
    for reel in laid_out(query, excerpts):
        track = schema.Track(name=reel.name, kind=schema.TrackKind.Video)
        track.extend([_clip(shot) for shot in reel.shots])
        timeline.tracks.append(track)
    text: str = timeline.to_json_string(indent=1)
    return text + "\n"


def _clip(shot: Shot) -> Any:
    schema, opentime = _library()
    cut, film, moment = shot.excerpt, shot.excerpt.footage, shot.excerpt.moment
    rate = float(film.counting.rate)

    def span(first: int, frames: int) -> Any:
        # Of media, from midnight: the timecode of the first frame is part of it.
        times = (opentime.RationalTime(number, rate) for number in (film.start + first, frames))
        return opentime.TimeRange(*times)

    shown = span(cut.first, cut.frames)
    about = {"video": moment.video, "rank": moment.rank, "score": moment.score}
    return schema.Clip(
        name=shot.title,
        media_reference=schema.ExternalReference(film.path.absolute().as_uri(), span(0, film.frames)),
        source_range=shown,
        markers=[schema.Marker(name=shot.title, marked_range=shown, color="BLUE")],
        metadata={"spr": about | {"confidence": moment.confidence}},
    )


def _library() -> tuple[Any, Any]:
    try:
        from opentimelineio import opentime, schema
    except ModuleNotFoundError:
        raise InvalidInput(
            'OTIO needs OpenTimelineIO; install it with: pip install "spr-engine[editors]"'
        ) from None
    return schema, opentime
