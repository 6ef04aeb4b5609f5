"""Moments that were chosen in the page, as files."""

import io
import json
import zipfile
from typing import Any
from urllib.parse import urlencode

import av
import pytest

from tests.clients.page.conftest import Page
from tests.workers.ranker.factories import TEXTS

QUERY = urlencode({"q": TEXTS[0]})


def moments(page: Page) -> list[Any]:
    found: list[Any] = json.loads(page.get(f"/api/search?{QUERY}").body.splitlines()[-1])["moments"]
    return found


def picked(moment: Any) -> str:
    return urlencode({"pick": f"{moment['video']}@{moment['start']:.2f}-{moment['end']:.2f}"})


def test_chosen_moments_are_written(page: Page) -> None:
    chosen = moments(page)[1]
    table = page.get(f"/api/export?{QUERY}&format=csv&{picked(chosen)}")
    assert table.headers["content-disposition"] == 'attachment; filename="moments.csv"'
    lines = table.body.decode().splitlines()
    assert len(lines) == 2
    assert f",{chosen['rank']},{chosen['video']}," in lines[1]
    assert len(page.get(f"/api/export?{QUERY}&format=csv&count=2").body.splitlines()) == 3


@pytest.mark.parametrize("form", ["json", "vtt", "otio", "fcp7xml", "fcpxml", "edl"])
def test_every_format_names_files_as_the_service_does(page: Page, form: str) -> None:
    answer = page.get(f"/api/export?{QUERY}&format={form}&count=3")
    assert answer.status == 200
    data = answer.body
    if answer.headers["content-type"] == "application/zip":
        with zipfile.ZipFile(io.BytesIO(data)) as packed:
            data = b"".join(packed.read(name) for name in packed.namelist())
    assert TEXTS[0].encode() in data
    # Which folders are here is told by the service's setting alone.
    assert str(page.videos).encode() not in data


def test_one_clip_is_a_video_and_several_are_a_zip(page: Page) -> None:
    found = moments(page)
    one = page.get(f"/api/export?{QUERY}&format=clips&{picked(found[0])}")
    assert one.headers["content-type"] == "video/mp4"
    with av.open(io.BytesIO(one.body)) as container:
        assert container.streams.video[0].width == 96
    both = page.get(f"/api/export?{QUERY}&format=clips&{picked(found[0])}&{picked(found[1])}")
    with zipfile.ZipFile(io.BytesIO(both.body)) as packed:
        manifest = json.loads(packed.read("manifest.json"))
        assert {clip["file"] for clip in manifest["clips"]} == set(packed.namelist()) - {"manifest.json"}
    assert str(page.videos) not in json.dumps(manifest)


def test_what_cannot_be_written_is_refused(page: Page) -> None:
    assert page.get(f"/api/export?{QUERY}&format=doc").json()["error"]["reason"] == "BAD_PARAMETER"
    gone = page.get(f"/api/export?{QUERY}&format=csv&pick=talk@0.01-0.02")
    assert (gone.status, gone.json()["error"]["reason"]) == (404, "MOMENTS_CHANGED")


@pytest.mark.parametrize("form", ["fcpxml", "clips"])
def test_what_is_left_out_is_told(page: Page, form: str) -> None:
    film, away = page.videos / "old.avi", page.videos / "old.away"
    picks = "&".join(picked(one) for one in moments(page)[:6])
    asked = f"/api/export?{QUERY}&format={form}&{picks}"
    assert page.get(asked).headers["x-spr-left-out"] == "0"
    lost = sum(one["video"] == "old" for one in moments(page)[:6])
    film.rename(away)
    try:
        assert lost
        assert page.get(asked).headers["x-spr-left-out"] == f"{lost}"
    finally:
        away.rename(film)
