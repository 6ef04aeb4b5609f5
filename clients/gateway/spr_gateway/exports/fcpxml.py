"""FCPXML 1.9 of Final Cut Pro, which Resolve opens too.

After Apple's "FCPXML Reference": times are exact fractions of seconds on edges of frames; an asset's begin
with the timecode of its first frame.
"""

from collections.abc import Sequence
from fractions import Fraction
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from spr_gateway.exports.excerpts import Excerpt
from spr_gateway.exports.footage import Footage
from spr_gateway.exports.timecode import Counting
from spr_gateway.exports.timelines import Reel, laid_out
from spr_gateway.exports.xml_text import readable


def as_fcpxml(query: str, excerpts: Sequence[Excerpt]) -> str:
    """Return an event with a project for each frame rate."""
    root = Element("fcpxml", version="1.9")
    resources = _Resources(SubElement(root, "resources"))
    event = SubElement(SubElement(root, "library"), "event", name=readable(query))
    for reel in laid_out(query, excerpts):
        _project(event, reel, resources)
    indent(root)
    head = '<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE fcpxml>\n'
    return head + tostring(root, encoding="unicode") + "\n"


class _Resources:
    """Formats and files, each once."""

    def __init__(self, parent: Element) -> None:
        self._parent, self._ids = parent, dict[object, str]()

    def format(self, counting: Counting, width: int, height: int) -> str:
        """Return the id of a format."""
        key = counting.rate, width, height
        if key not in self._ids:
            self._ids[key] = f"r{len(self._ids) + 1}"
            frame = _time(1 / counting.rate)
            size = {"width": str(width), "height": str(height)}
            SubElement(self._parent, "format", {"id": self._ids[key], "frameDuration": frame, **size})
        return self._ids[key]

    def asset(self, film: Footage) -> str:
        """Return the id of a file."""
        if film.path not in self._ids:
            form = self.format(film.counting, film.width, film.height)
            self._ids[film.path] = f"r{len(self._ids) + 1}"
            sound = {
                "hasAudio": "1", "audioSources": "1",
                "audioChannels": str(film.channels), "audioRate": str(film.sampled),
            }  # fmt: skip
            asset = SubElement(
                self._parent,
                "asset",
                id=self._ids[film.path],
                name=readable(film.path.name),
                start=_at(film.counting, film.start),
                duration=_at(film.counting, film.frames),
                hasVideo="1",
                format=form,
            )
            if film.channels:
                asset.attrib.update(sound)
            SubElement(asset, "media-rep", kind="original-media", src=film.path.absolute().as_uri())
        return self._ids[film.path]


def _project(event: Element, reel: Reel, resources: _Resources) -> None:
    counting, shape = reel.counting, "DF" if reel.counting.drop else "NDF"
    project = SubElement(event, "project", name=readable(reel.name))
    sequence = SubElement(
        project,
        "sequence",
        format=resources.format(counting, *reel.largest),
        duration=_at(counting, reel.frames),
        tcStart="0s",
        tcFormat=shape,
    )
    spine = SubElement(sequence, "spine")
    for shot in reel.shots:
        cut, film = shot.excerpt, shot.excerpt.footage
        length, begin = _at(counting, cut.frames), _at(counting, film.start + cut.first)
        clip = SubElement(
            spine,
            "asset-clip",
            ref=resources.asset(film),
            name=readable(shot.title),
            offset=_at(counting, shot.at),
            start=begin,
            duration=length,
            tcFormat=shape,
        )
        SubElement(clip, "marker", start=begin, duration=length, value=readable(shot.title))


def _at(counting: Counting, frame: int) -> str:
    return _time(counting.seconds(frame))


def _time(seconds: Fraction) -> str:
    """Return seconds as FCPXML writes them: 1001/30000s, or 5s."""
    return f"{seconds.numerator}/{seconds.denominator}s" if seconds.denominator > 1 else f"{seconds}s"
