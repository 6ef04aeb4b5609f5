"""What is read from real files: rate, start timecode, what no timecode tells; and where files are found."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest

from engine.errors import InvalidInput, NotFound
from spr_gateway.exports.excerpts import Finder, excerpts
from spr_gateway.exports.footage import footage
from spr_gateway.exports.timecode import NTSC, Counting
from tests.clients.exports.films import moment, write_film


@pytest.mark.parametrize(
    ("name", "rate", "timecode", "drop"),
    [
        ("a.mov", 30 * NTSC, "01:00:00;00", True),
        ("b.mov", 24 * NTSC, "10:00:00:12", False),
        ("c.mp4", Fraction(25), "", False),
        ("d.mkv", 60 * NTSC, "00:59:59;58", True),
        ("e.mkv", 30 * NTSC, "", False),
    ],
)
def test_rate_and_start_come_from_the_file(
    tmp_path: Path, name: str, rate: Fraction, timecode: str, drop: bool
) -> None:
    seen = footage(write_film(tmp_path / name, rate, 2.0, timecode))
    assert seen.counting == Counting(rate, drop)
    assert seen.label(0) == (timecode or "00:00:00:00")
    assert seen.frames == round(2 * rate)
    assert not seen.notes


def test_films_that_lie_on_their_side_are_as_they_are_shown(tmp_path: Path) -> None:
    lying, upright = write_film(tmp_path / "a.mp4", Fraction(25)), tmp_path / "b.mp4"
    with av.open(lying) as source, av.open(upright, "w") as target:
        stream: Any = target.add_stream_from_template(source.streams.video[0])
        stream.set_display_rotation(90)
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    seen = [footage(path) for path in (lying, upright)]
    assert [(one.width, one.height) for one in seen] == [(64, 48), (48, 64)]


def test_what_timecodes_do_not_tell_is_said(tmp_path: Path) -> None:
    varying = footage(write_film(tmp_path / "v.mp4", Fraction(25), 4.0, skip=4))
    assert "v.mp4 has no constant frame rate" in varying.notes[0]
    odd = footage(write_film(tmp_path / "o.mp4", Fraction(25, 2), 4.0))
    assert "o.mp4 has 12.5 frames a second, which no timecode counts: 25 are counted" in odd.notes
    wrong = footage(write_film(tmp_path / "w.mkv", Fraction(25), 1.0, "99:00:00:00"))
    assert "w.mkv starts at no timecode that counts" in wrong.notes[0]


def test_files_are_found_where_the_answer_or_the_folder_says(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    path = write_film(tmp_path / "deep" / "a b.mp4", Fraction(25))
    full = moment("a", 0.1, 0.5, uri=path.as_uri())
    named = moment("a", 0.1, 0.5, uri="a%20b.mp4")
    assert Finder(None).path(full) == path
    assert Finder(tmp_path).path(named) == path
    for finder, uri, said in [
        (Finder(None), "a%20b.mp4", "name its folder with --media"),
        (Finder(None), "", "does not say which file"),
        (Finder(None), (tmp_path / "gone.mp4").as_uri(), "gone.mp4 of video 'a' is not there"),
        (Finder(tmp_path), "other.mp4", "no file below .* is called 'other.mp4'"),
    ]:
        with pytest.raises(NotFound, match=said):
            finder.path(moment("a", 0, 1, uri=uri))
    (tmp_path / "a b.mp4").write_bytes(b"")
    with pytest.raises(NotFound, match="both are called"):
        Finder(tmp_path).path(named)
    with pytest.raises(InvalidInput, match="is no folder"):
        Finder(path)


def test_a_copy_with_its_name_in_another_unicode_form_is_found(tmp_path: Path) -> None:
    composed, apart = tmp_path / "\u00fc.mp4", tmp_path / "u\u0308.mp4"
    composed.write_bytes(b"")
    wanted = moment("a", 0, 1, uri=apart.as_uri())
    assert Finder(tmp_path).path(wanted) == composed
    apart.write_bytes(b"")
    assert Finder(tmp_path).path(wanted) == apart


def test_moments_of_files_that_are_away_are_left_out_and_said_once(tmp_path: Path) -> None:
    uri = write_film(tmp_path / "a.mp4", Fraction(25)).as_uri()
    here = [moment("a", 0.0, 0.4, 1, uri), moment("a", 0.5, 99.0, 3, uri)]
    gone = [moment("b", 0, 1, 2, "file:///b.mp4"), moment("b", 2, 3, 4, "file:///b.mp4")]
    found, away, _ = excerpts([here[0], gone[0], here[1], gone[1]], None)
    assert [(cut.first, cut.end) for cut in found] == [(0, 10), (12, 25)]
    assert len(away) == 1
    assert "/b.mp4 of video 'b' is not there" in away[0]
