"""Files for editors, opened by the editors that are installed: OpenShot's importer, MLT by OTIO's adapter."""

import json
import shutil
import subprocess
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest

from spr_gateway.exports.excerpts import Excerpt, excerpt
from spr_gateway.exports.fcp7 import as_fcp7
from spr_gateway.exports.footage import footage
from spr_gateway.exports.otio import as_otio
from spr_gateway.exports.timecode import NTSC
from tests.clients.exports.films import moment, write_film

pytestmark = pytest.mark.nightly
OPENSHOT = Path("/usr/lib/python3/dist-packages/openshot_qt")
SPANS = ((5, 20), (40, 41))
# OpenShot's own importer, in its own application without a window. It asks for folders, not for URLs.
IMPORT = """
import json, os, sys, types
path, rate, folder = sys.argv[1:]
sys.argv = ["openshot"]
sys.path.insert(0, folder)
import openshot
from classes.app import OpenShotApp
app = OpenShotApp(["openshot"], mode="unittest")
from classes.importers import final_cut_pro
from classes.query import Clip
from windows.views import find_file
find_file.known_paths.append(os.path.dirname(path))
some = types.SimpleNamespace
final_cut_pro.QFileDialog = some(getOpenFileName=lambda *_: (path, ""))
nothing = lambda *_: None
app.window = some(refreshFrameSignal=some(emit=nothing), propertyTableView=some(select_frame=nothing),
                  preview_thread=some(player=some(Position=nothing)))
over, under = map(int, rate.split("/"))
app.project._data["fps"] = {"num": over, "den": under}
final_cut_pro.import_xml()
keys = "start", "end", "position"
print(json.dumps([[clip.data["title"], *(round(clip.data[key] * over / under, 3) for key in keys)]
                  for clip in Clip.filter()]))
"""


def cuts(folder: Path, rate: Fraction, timecode: str) -> list[Excerpt]:
    """Two moments each of two real files."""
    found: list[Excerpt] = []
    for name in ("one.mov", "two.mov"):
        seen = footage(write_film(folder / name, rate, 2.0, timecode))
        for first, end in SPANS:
            found.append(excerpt(moment(name, float(first / rate), float(end / rate), len(found) + 1), seen))
    return found


@pytest.mark.skipif(not OPENSHOT.is_dir(), reason="OpenShot is not installed (openshot-qt)")
@pytest.mark.parametrize(("rate", "timecode"), [(Fraction(25), "01:00:00:00"), (30 * NTSC, "")])
def test_openshot_places_every_moment(tmp_path: Path, rate: Fraction, timecode: str) -> None:
    (path := tmp_path / "found.xml").write_text(as_fcp7('a "red" <ball>', cuts(tmp_path, rate, timecode)))
    environment = {"QT_QPA_PLATFORM": "offscreen", "HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    command = [
        "/usr/bin/python3",
        "-c",
        IMPORT,
        str(path),
        f"{rate.numerator}/{rate.denominator}",
        str(OPENSHOT),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment)
    assert done.returncode == 0, done.stderr
    expected, at = [], 0
    for name in ("one.mov", "two.mov"):
        for first, end in SPANS:
            expected.append([name, first, end, at])
            at += end - first
    assert json.loads(done.stdout.splitlines()[-1]) == expected


@pytest.mark.skipif(shutil.which("melt") is None, reason="MLT is not installed (melt)")
def test_mlt_plays_the_frames_of_an_otio_timeline(tmp_path: Path) -> None:
    pytest.importorskip("otio_mlt_adapter", reason="otio-mlt-adapter is not installed")
    import opentimelineio

    # The adapter takes a file's first frame for timecode 0, whatever `available_range` says.
    given = cuts(tmp_path, Fraction(25), "")
    timeline: Any = opentimelineio.adapters.read_from_string(as_otio("q", given), "otio_json")
    opentimelineio.adapters.write_to_file(timeline, str(tmp_path / "found.mlt"), "mlt_xml")
    command = ["melt", "found.mlt", "-consumer", "avformat:out.mkv", "real_time=-1", "vcodec=ffv1", "an=1"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, timeout=300)
    with av.open(tmp_path / "out.mkv") as container:
        levels = [_middle(frame) for frame in container.decode(video=0)]
    expected = [16 + 4 * frame for cut in given for frame in range(cut.first, cut.end)]
    assert levels == pytest.approx(expected, abs=1.9)


def _middle(frame: av.VideoFrame) -> int:
    luma = frame.planes[0]
    return bytes(luma)[frame.height // 2 * luma.line_size + frame.width // 2]
