"""What is said in a video whose pictures are in the store already: none of them is decoded again."""

from __future__ import annotations  # av.Packet is generic to type checkers only

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av.error
from av.container import InputContainer
from av.video.stream import VideoStream

from trainer.ingest.container import demuxed, opened, video_stream
from trainer.ingest.extent import Extent
from trainer.ingest.limits import Limits
from trainer.ingest.subtitles import Cue
from trainer.ingest.text_tracks import TextTrack, pick_text_track


def said(
    path: Path, beside: Sequence[Cue], of_file: bool, duration: float, limits: Limits
) -> tuple[Sequence[Cue], str]:
    """Return the cues that an ingest takes, in seconds from the first frame; the language of those inside.

    beside: those of the subtitle file, or of a transcript, which gives way to those inside (of_file false).
    duration: of the video, seconds. Decodes up to the first frame, then reads packets alone. Raises BadVideo.
    """
    with opened(path, limits) as container:
        has_text = pick_text_track(container) is not None
        first, lead = _first(container, video_stream(container, path, limits), path)
    if has_text and not (of_file and beside):
        # Opened again: not every format can be sought in.
        with opened(path, limits) as container:
            track = TextTrack(container, video_stream(container, path, limits), path)
            for packet in demuxed(container):
                track.take(packet)
            if inside := track.cues(first, duration):
                return inside, track.language
    return [cue.shifted(-lead) for cue in beside], ""


def _first(container: InputContainer, stream: VideoStream, path: Path) -> tuple[float, float]:
    """Return the first frame's time and by how much a subtitle file's times are late, in seconds."""
    extent, base = Extent(container, stream, path), stream.time_base or Fraction(0)
    try:
        frame = next(container.decode(stream), None)
    except (av.error.FFmpegError, OSError):
        frame = None
    first = Fraction(0) if frame is None or frame.pts is None else frame.pts * base
    return float(first), float(extent.lead(first))
