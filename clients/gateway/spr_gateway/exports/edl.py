"""Marker EDL of DaVinci Resolve: a file a video, each moment a marker on a timeline that holds the video.

Written after what Resolve itself exports (Timelines > Export > Timeline Markers to EDL); in it `C` is the
color, `M` the marker's name, `D` its length in frames.
"""

from collections.abc import Sequence

from spr_gateway.exports.excerpts import Excerpt
from spr_gateway.exports.tables import title

COLOR = "ResolveColorBlue"


def as_edl(query: str, excerpts: Sequence[Excerpt]) -> dict[str, str]:
    """Return the marker EDL of each video."""
    videos: dict[str, list[Excerpt]] = {}
    for each in sorted(excerpts, key=lambda each: each.first):
        videos.setdefault(each.moment.video, []).append(each)
    return {video: _edl(query, video, found) for video, found in videos.items()}


def _edl(query: str, video: str, excerpts: Sequence[Excerpt]) -> str:
    drop = excerpts[0].footage.counting.drop
    lines = [f"TITLE: {_plain(video)}", f"FCM: {'DROP' if drop else 'NON-DROP'} FRAME", ""]
    for number, each in enumerate(excerpts, 1):
        at, after = each.footage.label(each.first), each.footage.label(each.first + 1)
        lines.append(f"{number:03d}  001      V     C        {at} {after} {at} {after}  ")
        lines.append(f" |C:{COLOR} |M:{_plain(title(query, each.moment))} |D:{each.frames}")
        lines.append("")
    return "\r\n".join(lines)


def _plain(text: str) -> str:
    """Return a text without what ends a field."""
    return " ".join(text.replace("|", "/").split())
