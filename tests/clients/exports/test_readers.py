"""Files for editors, read by programs that are not ours: OpenTimelineIO's adapters, FFmpeg, xmllint."""

import itertools
import shutil
import subprocess
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import opentimelineio
import pytest

from spr_gateway.exports.edl import as_edl
from spr_gateway.exports.excerpts import Excerpt
from spr_gateway.exports.fcpxml import as_fcpxml
from spr_gateway.exports.tables import as_chapters
from spr_gateway.exports.timecode import NTSC, Counting
from tests.clients.exports.films import film, shown

QUERY = 'a "red" <ball> & | bounces --> up'
WHOLE = [Counting(Fraction(rate)) for rate in (24, 25, 50)]
BROKEN = [Counting(24 * NTSC), Counting(30 * NTSC, True), Counting(60 * NTSC, True)]
# What of FCPXML 1.9 is written, after Apple's document type definition of that version.
FCPXML = """
<!ELEMENT fcpxml (resources, library)> <!ATTLIST fcpxml version CDATA #FIXED "1.9">
<!ELEMENT resources (asset | format)*>
<!ELEMENT format EMPTY>
<!ATTLIST format id ID #REQUIRED name CDATA #IMPLIED frameDuration CDATA #IMPLIED
 width CDATA #IMPLIED height CDATA #IMPLIED>
<!ELEMENT asset (media-rep+)>
<!ATTLIST asset id ID #REQUIRED name CDATA #IMPLIED start CDATA #IMPLIED duration CDATA #IMPLIED
 hasVideo CDATA #IMPLIED format IDREF #IMPLIED hasAudio CDATA #IMPLIED audioSources CDATA #IMPLIED
 audioChannels CDATA #IMPLIED audioRate CDATA #IMPLIED>
<!ELEMENT media-rep EMPTY>
<!ATTLIST media-rep kind (original-media | proxy-media) "original-media" src CDATA #REQUIRED>
<!ELEMENT library (event)*>
<!ELEMENT event (project)*> <!ATTLIST event name CDATA #IMPLIED>
<!ELEMENT project (sequence)> <!ATTLIST project name CDATA #IMPLIED>
<!ELEMENT sequence (spine)>
<!ATTLIST sequence format IDREF #REQUIRED duration CDATA #IMPLIED tcStart CDATA #IMPLIED
 tcFormat (DF | NDF) #IMPLIED>
<!ELEMENT spine (asset-clip)*>
<!ELEMENT asset-clip (marker)*>
<!ATTLIST asset-clip ref IDREF #REQUIRED name CDATA #IMPLIED offset CDATA #IMPLIED start CDATA #IMPLIED
 duration CDATA #IMPLIED tcFormat (DF | NDF) #IMPLIED>
<!ELEMENT marker EMPTY>
<!ATTLIST marker start CDATA #REQUIRED duration CDATA #IMPLIED value CDATA #REQUIRED>
"""


def cuts(*countings: Counting) -> list[Excerpt]:
    """Two moments a file, each file's first frame at an hour."""
    films = [
        film(f"a {n}.mov", counting, counting.frame("01:00:00:00")) for n, counting in enumerate(countings)
    ]
    return [shown(seen, *span) for seen in films for span in ((100, 140, 1), (4000, 4001, 2))]


def read(text: str, adapter: str, **options: Any) -> list[tuple[float, float]]:
    """Return the first frame, with that of the hour, and the frames of every clip."""
    found: Any = opentimelineio.adapters.read_from_string(text, adapter, **options)
    clips = found if isinstance(found, list) else found.find_clips()
    ranges = [clip.source_range for clip in clips]
    return [(span.start_time.value, span.duration.value) for span in ranges]


@pytest.mark.parametrize("counting", WHOLE)
def test_the_fcpxml_adapter_reads_the_frames(counting: Counting) -> None:
    zero = counting.frame("01:00:00:00")
    assert read(as_fcpxml(QUERY, cuts(counting)), "fcpx_xml") == [(zero + 100, 40), (zero + 4000, 1)]


# Of 59.94 frames the adapter knows no timecode.
@pytest.mark.parametrize("counting", WHOLE + BROKEN[:2])
def test_the_edl_adapter_reads_where_markers_are(counting: Counting) -> None:
    (text,) = as_edl(QUERY, cuts(counting)).values()
    zero = counting.frame("01:00:00:00")
    found = read(text, "cmx_3600", rate=float(counting.rate))
    assert found == [(zero + 100, 1), (zero + 4000, 1)]


@pytest.mark.skipif(shutil.which("xmllint") is None, reason="xmllint is not installed (libxml2-utils)")
def test_fcpxml_is_valid(tmp_path: Path) -> None:
    (tmp_path / "1.9.dtd").write_text(FCPXML)
    (tmp_path / "x.fcpxml").write_text(as_fcpxml(QUERY, cuts(*WHOLE, *BROKEN)))
    check = ["xmllint", "--nonet", "--noout", "--dtdvalid", "1.9.dtd", "x.fcpxml"]
    done = subprocess.run(check, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_ffmpeg_reads_the_chapters(tmp_path: Path) -> None:
    given = cuts(WHOLE[1])
    (text,) = as_chapters(QUERY, [cut.moment for cut in given]).values()
    (path := tmp_path / "chapters.vtt").write_text(text)
    with av.open(path) as container:
        found = [
            (float(one.pts * one.time_base), float(one.duration * one.time_base))
            for one in container.demux(subtitles=0)
            if one.size and one.pts is not None and one.duration is not None
        ]
    assert list(itertools.chain(*found)) == pytest.approx([4.0, 1.6, 160.0, 0.04])
