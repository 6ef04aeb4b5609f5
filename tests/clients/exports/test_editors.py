"""Files for editors, read back by other programs: every frame is the one that was meant."""

import re
from collections.abc import Sequence
from fractions import Fraction
from typing import Any
from xml.etree import ElementTree

import opentimelineio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from spr_gateway.exports.edl import as_edl
from spr_gateway.exports.excerpts import Excerpt
from spr_gateway.exports.fcp7 import as_fcp7
from spr_gateway.exports.fcpxml import as_fcpxml
from spr_gateway.exports.otio import as_otio
from spr_gateway.exports.timecode import NTSC, Counting
from tests.clients.exports.films import film, shown

QUERY = 'a "red" <ball> & | bounces\n--> \x01'
COUNTINGS = [Counting(Fraction(n)) for n in (24, 25, 30, 50, 60)]
COUNTINGS += [Counting(n * NTSC) for n in (24, 30, 60)] + [Counting(n * NTSC, True) for n in (30, 60)]


@some.composite
def lists(draw: Any, mixed: bool = True) -> list[Excerpt]:
    kinds = draw(some.lists(some.sampled_from(COUNTINGS), min_size=1, max_size=3 if mixed else 1))
    films = [
        film(f"v {n}.mov", kind, draw(some.integers(0, kind.day - 1)), draw(some.integers(0, 2)))
        for n, kind in enumerate(kinds)
    ]
    cuts = []
    for rank in range(1, draw(some.integers(1, 4)) + 1):
        seen, length = draw(some.sampled_from(films)), draw(some.integers(1, 5000))
        first = draw(some.integers(0, seen.frames - length))
        cuts.append(shown(seen, first, first + length, rank))
        assert (cuts[-1].first, cuts[-1].end) == (first, first + length)
    return cuts


def wanted(cuts: Sequence[Excerpt]) -> list[tuple[str, int, int]]:
    """Which frames of which file, counted from its first, in order of each way of counting."""
    kinds = list(dict.fromkeys(cut.footage.counting for cut in cuts))
    ordered = sorted(cuts, key=lambda cut: kinds.index(cut.footage.counting))
    return [(cut.footage.path.as_uri(), cut.first, cut.end) for cut in ordered]


@given(lists())
@settings(max_examples=25, deadline=None)
def test_fcp7_xml_names_the_frames_and_timecodes(cuts: list[Excerpt]) -> None:
    root = ElementTree.fromstring(as_fcp7(QUERY, cuts))
    assert [track.findtext("locked") for track in root.iter("track")] == ["FALSE"] * len(
        [*root.iter("track")]
    )
    # OpenShot reads no file that only has an id, and takes a described one for pictures.
    assert all(file.find("pathurl") is not None for file in root.findall(".//video/track/clipitem/file"))
    assert all(not len(file) for file in root.findall(".//audio/track/clipitem/file"))
    files = {file.get("id"): file for file in root.iter("file") if len(file)}
    found = []
    for sequence in root.iter("sequence"):
        at = 0
        for clip in sequence.findall("media/video/track/clipitem"):
            file = files[clip.find("file").get("id")]  # type: ignore[union-attr]
            first, end, begin, until = (int(clip.findtext(key, "")) for key in ("in", "out", "start", "end"))
            assert (begin, until - begin) == (at, end - first)
            at = until
            found.append((file.findtext("pathurl"), first, end))
    assert found == wanted(cuts)
    for file in files.values():
        cut = next(cut for cut in cuts if cut.footage.path.as_uri() == file.findtext("pathurl"))
        timecode = file.find("timecode")
        assert timecode is not None
        counting = cut.footage.counting
        assert counting.drop == (timecode.findtext("displayformat") == "DF")
        assert counting.frame(timecode.findtext("string", "")) == cut.footage.start
        nominal = Fraction(timecode.findtext("rate/timebase", ""))
        assert counting.rate == nominal * (NTSC if timecode.findtext("rate/ntsc") == "TRUE" else 1)


@given(lists())
@settings(max_examples=25, deadline=None)
def test_fcpxml_names_the_frames_in_exact_seconds(cuts: list[Excerpt]) -> None:
    root = ElementTree.fromstring(as_fcpxml(QUERY, cuts))
    formats = {one.get("id"): _seconds(one.get("frameDuration")) for one in root.iter("format")}
    assets = {one.get("id"): one for one in root.iter("asset")}
    found = []
    for clip in root.iter("asset-clip"):
        asset = assets[clip.get("ref")]
        tick = formats[asset.get("format")]
        first = (_seconds(clip.get("start")) - _seconds(asset.get("start"))) / tick
        length, offset = _seconds(clip.get("duration")) / tick, _seconds(clip.get("offset")) / tick
        assert {first.denominator, length.denominator, offset.denominator} == {1}
        source = asset.find("media-rep")
        assert source is not None
        found.append((source.get("src"), int(first), int(first + length)))
    assert found == wanted(cuts)
    for cut in cuts:
        begin = {_seconds(a.get("start")) for a in assets.values() if a.get("name") == cut.footage.path.name}
        assert begin == {cut.footage.counting.seconds(cut.footage.start)}


@given(lists())
@settings(max_examples=25, deadline=None)
def test_otio_names_the_frames(cuts: list[Excerpt]) -> None:
    timeline: Any = opentimelineio.adapters.read_from_string(as_otio(QUERY, cuts), "otio_json")
    found = []
    for clip in timeline.find_clips():
        zero = clip.media_reference.available_range.start_time.value
        first, length = clip.source_range.start_time.value - zero, clip.source_range.duration.value
        found.append((clip.media_reference.target_url, int(first), int(first + length)))
    assert found == wanted(cuts)


@given(lists())
@settings(max_examples=25, deadline=None)
def test_marker_edl_names_the_frames(cuts: list[Excerpt]) -> None:
    for video, text in as_edl(QUERY, cuts).items():
        mine = sorted((c for c in cuts if c.moment.video == video), key=lambda c: c.first)
        counting, start = mine[0].footage.counting, mine[0].footage.start
        assert f"FCM: {'DROP' if counting.drop else 'NON-DROP'} FRAME" in text
        labels = [line.split()[4] for line in text.splitlines() if re.match(r"\d{3} ", line)]
        frames = [(counting.frame(label) - start) % counting.day for label in labels]
        assert frames == [cut.first % counting.day for cut in mine]
        assert [int(n) for n in re.findall(r"\|D:(\d+)", text)] == [cut.frames for cut in mine]
        # The query's own mark does not end a field.
        assert all(line.count("|") == 3 for line in text.splitlines() if line.startswith(" |"))


@pytest.mark.parametrize("counting", COUNTINGS)
def test_other_readers_find_the_same_frames(counting: Counting) -> None:
    seen = film("a b.mov", counting, counting.frame("01:00:00:00"))
    cuts = [shown(seen, 100, 140), shown(seen, 4000, 4001, 2)]
    timeline: Any = opentimelineio.adapters.read_from_string(as_fcp7("q", cuts), "fcp_xml")
    ranges = [clip.trimmed_range() for clip in timeline.find_clips() if clip.parent().kind == "Video"]
    zero = seen.start
    assert [(int(r.start_time.value) - zero, int(r.duration.value)) for r in ranges] == [(100, 40), (4000, 1)]
    assert ranges[0].start_time.rate == pytest.approx(float(counting.rate), rel=1e-4)


def _seconds(text: str | None) -> Fraction:
    assert text is not None
    assert text.endswith("s")
    return Fraction(text[:-1])
