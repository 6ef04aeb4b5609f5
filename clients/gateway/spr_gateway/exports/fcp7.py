"""Final Cut Pro 7 XML (xmeml 4), which Premiere, Resolve and others open.

After Apple's "Final Cut Pro XML Interchange Format": `in` and `out` count from the file's first frame,
`start` and `end` from the sequence's; `ntsc` says that the timebase is over 1.001. Every track says whether
it is locked, and every clip of pictures describes its file: OpenShot reads no file that only has an id.
"""

from collections.abc import Sequence
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from spr_gateway.exports.excerpts import Excerpt
from spr_gateway.exports.footage import Footage
from spr_gateway.exports.timecode import Counting
from spr_gateway.exports.timelines import Reel, Shot, laid_out
from spr_gateway.exports.xml_text import readable


def as_fcp7(query: str, excerpts: Sequence[Excerpt]) -> str:
    """Return a project with a sequence for each frame rate."""
    root = Element("xmeml", version="4")
    project = SubElement(root, "project")
    _put(project, "name", query)
    children, files = SubElement(project, "children"), dict[str, str]()
    for number, reel in enumerate(laid_out(query, excerpts), 1):
        _sequence(children, reel, f"sequence-{number}", files)
    indent(root)
    head = '<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE xmeml>\n'
    return head + tostring(root, encoding="unicode") + "\n"


def _sequence(parent: Element, reel: Reel, name: str, files: dict[str, str]) -> None:
    sequence = SubElement(parent, "sequence", id=name)
    _put(sequence, "name", reel.name)
    _put(sequence, "duration", reel.frames)
    _rate(sequence, reel.counting)
    _timecode(sequence, reel.counting, 0)
    media = SubElement(sequence, "media")
    video, audio = SubElement(media, "video"), SubElement(media, "audio")
    shape = SubElement(SubElement(video, "format"), "samplecharacteristics")
    _rate(shape, reel.counting)
    _size(shape, *reel.largest)
    tracks = [SubElement(video, "track")]
    tracks += [SubElement(audio, "track") for _ in range(max(s.excerpt.footage.channels for s in reel.shots))]
    for number, shot in enumerate(reel.shots, 1):
        count = 1 + shot.excerpt.footage.channels
        names = [f"{name}-clip-{number}-{channel}" for channel in range(count)]
        for channel in range(count):
            _clip(tracks[channel], shot, channel, number, names, files)
    for track in tracks:
        _put(track, "enabled", "TRUE")
        _put(track, "locked", "FALSE")


def _clip(
    track: Element, shot: Shot, channel: int, number: int, names: Sequence[str], files: dict[str, str]
) -> None:
    """Add a shot to a track: of pictures where channel is 0, else of that channel of its sound."""
    cut, film = shot.excerpt, shot.excerpt.footage
    clip = SubElement(track, "clipitem", id=names[channel])
    _put(clip, "name", film.path.name)
    _put(clip, "enabled", "TRUE")
    _put(clip, "duration", film.frames)
    _rate(clip, film.counting)
    edges = {"start": shot.at, "end": shot.at + cut.frames, "in": cut.first, "out": cut.end}
    for name, frame in edges.items():
        _put(clip, name, frame)
    _file(clip, film, files, described=not channel)
    source = SubElement(clip, "sourcetrack")
    _put(source, "mediatype", "audio" if channel else "video")
    _put(source, "trackindex", max(1, channel))
    for other, name in enumerate(names):
        link = SubElement(clip, "link")
        _put(link, "linkclipref", name)
        _put(link, "mediatype", "audio" if other else "video")
        _put(link, "trackindex", max(1, other))
        _put(link, "clipindex", number)
    if not channel:
        marker = SubElement(clip, "marker")
        _put(marker, "name", shot.title)
        _put(marker, "in", cut.first)
        _put(marker, "out", cut.end)


def _file(clip: Element, film: Footage, files: dict[str, str], described: bool) -> None:
    uri = film.path.absolute().as_uri()
    file = SubElement(clip, "file", id=files.setdefault(uri, f"file-{len(files) + 1}"))
    if not described:
        return
    _put(file, "name", film.path.name)
    _put(file, "pathurl", uri)
    _rate(file, film.counting)
    _put(file, "duration", film.frames)
    _timecode(file, film.counting, film.start)
    media = SubElement(file, "media")
    _size(SubElement(SubElement(media, "video"), "samplecharacteristics"), film.width, film.height)
    if film.channels:
        audio = SubElement(media, "audio")
        _put(SubElement(audio, "samplecharacteristics"), "samplerate", film.sampled)
        _put(audio, "channelcount", film.channels)


def _timecode(parent: Element, counting: Counting, frame: int) -> None:
    timecode = SubElement(parent, "timecode")
    _rate(timecode, counting)
    _put(timecode, "string", counting.label(frame))
    _put(timecode, "frame", frame)
    _put(timecode, "displayformat", "DF" if counting.drop else "NDF")


def _rate(parent: Element, counting: Counting) -> None:
    rate = SubElement(parent, "rate")
    _put(rate, "timebase", counting.nominal)
    _put(rate, "ntsc", "TRUE" if counting.ntsc else "FALSE")


def _size(parent: Element, width: int, height: int) -> None:
    _put(parent, "width", width)
    _put(parent, "height", height)


def _put(parent: Element, name: str, value: str | int) -> None:
    SubElement(parent, name).text = readable(str(value))
