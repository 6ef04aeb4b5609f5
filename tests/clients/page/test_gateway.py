"""The page's endpoints, asked as a browser does and as nobody should."""

import json
import os
import shutil
import urllib.parse
import urllib.request
from pathlib import Path

import pytest

from engine.errors import NotFound
from engine.part_texts import FILE
from spr_gateway import speech
from spr_gateway.shelf import Shelf
from tests.clients.page.conftest import SIGN, Page
from tests.workers.ranker.factories import TEXTS

QUERY = urllib.parse.urlencode({"q": TEXTS[0]})


def test_a_search_is_answered_twice_and_has_further_pages(page: Page) -> None:
    found = page.get(f"/api/search?{QUERY}&size=1")
    coarse, refined = (json.loads(line) for line in found.body.splitlines())
    assert (coarse["stage"], refined["stage"]) == ("coarse", "refined")
    assert [one["refined"] for one in coarse["moments"] + refined["moments"]] == [False, True]
    assert refined["total"] > 1
    assert refined["coverage"] == {"videos": 3, "searched": 3, "degraded": [], "unreachable": []}
    further = page.get(f"/api/search?page={refined['next']}&size=9").json()
    assert [one["rank"] for one in further["moments"]] == list(range(2, refined["total"] + 1))


def test_a_picture_and_a_span_are_searched_and_explained(page: Page) -> None:
    picture = page.get("/thumb/talk?t=5").body
    kept = page.get("/api/examples", picture, **{"content-type": "image/jpeg"})
    assert kept.status == 201
    image = f"img={kept.json()['id']}"
    refined = json.loads(page.get(f"/api/search?{image}&size=9").body.splitlines()[-1])
    assert refined["stage"] == "refined"
    assert refined["ranker"] == "similarity-curve"
    both = json.loads(page.get(f"/api/search?{QUERY}&{image}").body.splitlines()[-1])
    assert both["moments"] != refined["moments"]
    why = page.get(f"/api/explain/talk?{image}").json()
    assert len(why["frames"]["values"]) == 24
    alike = json.loads(page.get("/api/search?like=talk@4-8").body.splitlines()[0])
    assert alike["moments"][0]["score"] == pytest.approx(1.0, abs=0.01)
    refused = page.get("/api/examples", b"GIF89a", **{"content-type": "image/png"}).json()["error"]
    assert refused["reason"] == "BAD_PICTURE"
    assert "no JPEG, PNG or WebP" in refused["message"]


@pytest.mark.parametrize(
    ("path", "status", "reason"),
    [
        ("/api/search?q=", 400, "QUERY_EMPTY"),
        ("/api/search?q=%E2%80%8B", 400, "QUERY_EMPTY"),
        (f"/api/search?q={'x' * 1001}", 400, "BAD_PARAMETER"),
        (f"/api/search?{QUERY}&collection=nobodys", 404, "COLLECTION_NOT_FOUND"),
        ("/api/search?page=stale", 400, "PAGE_TOKEN_INVALID"),
        (f"/api/search?{QUERY}&size=nan", 400, "BAD_PARAMETER"),
        (f"/api/explain/nobody?{QUERY}", 404, "VIDEO_NOT_FOUND"),
        ("/api/videos/nobody", 404, "VIDEO_NOT_FOUND"),
        ("/media/talk?collection=nobodys", 404, "COLLECTION_NOT_FOUND"),
        ("/clip/old?start=5&end=4", 400, "BAD_PARAMETER"),
        ("/clip/old?start=-1&end=4", 400, "BAD_PARAMETER"),
        ("/clip/old?start=1000&end=1002", 404, "NO_PICTURE"),
        ("/clip/talk?start=1000&end=1002", 404, "NO_PICTURE"),
        ("/thumb/talk?t=soon", 400, "BAD_PARAMETER"),
        ("/strip/talk?start=0&end=9&n=1000", 400, "BAD_PARAMETER"),
        ("/media/..%2f..%2f..%2fetc%2fpasswd", 404, "VIDEO_NOT_FOUND"),
        ("/media//etc/passwd", 404, "VIDEO_NOT_FOUND"),
        ("/media/talk.mp4", 404, "VIDEO_NOT_FOUND"),
        ("/media/talk%00", 404, "VIDEO_NOT_FOUND"),
    ],
)
def test_what_cannot_be_answered_is_refused_in_a_sentence(
    page: Page, path: str, status: int, reason: str
) -> None:
    refused = page.get(path)
    error = refused.json()["error"]
    assert (refused.status, error["reason"]) == (status, reason)
    assert str(page.videos) not in error["message"]


def test_it_tells_what_routes_to_it_that_it_serves(page: Page) -> None:
    for path, said in {"healthz": "serving\n", "livez": "alive\n"}.items():
        with urllib.request.urlopen(f"http://{page.metrics}/{path}", timeout=60) as answer:
            assert answer.read().decode() == said


def test_a_file_comes_by_ranges(page: Page) -> None:
    data = (page.videos / "talk.mp4").read_bytes()
    whole = page.get("/media/talk")
    assert (whole.status, whole.body, whole.headers["content-type"]) == (200, data, "video/mp4")
    part = page.get("/media/talk", Range="bytes=100-299")
    assert (part.status, part.body) == (206, data[100:300])
    assert part.headers["content-range"] == f"bytes 100-299/{len(data)}"
    assert page.get("/media/talk", Range=f"bytes={len(data)}-").status == 416
    # Units that nobody here knows ask for nothing; those that it knows may be written in capitals.
    other = page.get("/media/talk", Range="seconds=1-2")
    assert (other.status, other.body) == (200, data)
    assert page.get("/media/talk", Range="Bytes=100-299").body == data[100:300]


def test_what_no_browser_plays_comes_as_a_clip_that_says_so(page: Page) -> None:
    about = page.get("/api/videos/old").json()
    assert about["play"] == {"how": "convert", "why": "browsers do not play MPEG-4 part 2"}
    clip = page.get("/clip/old?start=4&end=6&about=1").json()
    assert (clip["offset"], clip["how"]) == (0.0, "convert")
    whole = page.get(clip["url"])
    assert whole.body[4:8] == b"ftyp"
    part = page.get(clip["url"], Range="bytes=-10")
    assert (part.status, part.body) == (206, whole.body[-10:])
    assert page.get(clip["url"], Range="bytes=99999999-").status == 416
    # The id of a file in a folder has a slash.
    copied = page.get("/api/videos/" + urllib.parse.quote("gop", safe="")).json()
    assert copied["play"]["how"] == "copy"


def test_pictures_and_subtitles(page: Page) -> None:
    for path in ("/thumb/talk?t=3.3", "/strip/talk?start=0&end=9&n=4"):
        picture = page.get(path)
        assert picture.headers["content-type"] == "image/jpeg"
        assert picture.body[:2] == b"\xff\xd8"
    assert "a red ball bounces" in page.get("/subs/talk").body.decode()
    about = page.get("/api/videos/talk").json()
    assert about["cues"][0] == [2.0, 5.0, "a red ball bounces"]
    assert about["written"] == [[17.0, 19.0, "exit RE16", [0.25, 0.5, 0.75, 1.0]]]
    channels = page.get("/api/collections").json()["collections"][0]["channels"]
    assert channels == ["seen", "said", "written"]


def test_texts_are_those_that_are_searched_and_without_them_what_the_files_say(
    page: Page, tmp_path: Path
) -> None:
    shutil.copytree(page.collection, tmp_path / "films")
    shelf = Shelf([tmp_path / "films"])
    talk = shelf.find("films", "talk")
    assert (shelf.channels("films"), shelf.channels("nobodys")) == (["seen", "said", "written"], ["seen"])
    assert speech.of(shelf, talk).written == (SIGN,)
    assert speech.of(shelf, shelf.find("", "old")) == speech.Speech(())
    for path in tmp_path.glob(f"films/parts/*/{FILE}"):
        path.unlink()
    said = speech.of(shelf, talk)
    assert ([cue.text for cue in said.cues], said.written) == (["a red ball bounces", "<3 & more"], ())


def test_what_found_a_moment_is_told_by_channel(page: Page) -> None:
    refined = page.get("/api/search?q=RE16").body.splitlines()[-1]
    first = json.loads(refined)["moments"][0]
    assert first["video"] == "talk"
    [written] = [one for one in first["foundBy"] if one["channel"] == "written"]
    pieces = [["exit ", False], ["RE16", True]]
    line = {"start": 17.0, "end": 19.0, "pieces": pieces, "box": list(SIGN.box or ())}
    assert written == {"channel": "written", "method": "words", "rank": 0, "line": line}
    why = page.get("/api/explain/talk?q=RE16").json()
    assert [(one["channel"], one["start"]) for one in why["segments"] if one["channel"] != "seen"] == [
        ("written", 16.0)
    ]
    alone = json.loads(page.get("/api/search?q=RE16&in=written").body.splitlines()[-1])
    assert {one["video"] for one in alone["moments"]} == {"talk"}
    assert json.loads(page.get("/api/search?q=RE16&in=said").body.splitlines()[-1])["moments"] == []


def test_an_explanation_has_segments_moments_and_curves(page: Page) -> None:
    why = page.get(f"/api/explain/talk?{QUERY}").json()
    seen = [one["start"] for one in why["segments"] if one["channel"] == "seen"]
    assert seen == [4.0 * n for n in range(6)]
    assert len(why["frames"]["values"]) == 24
    said = why["subtitles"]["values"]
    # The sentence that is said there is the query.
    assert [round(value, 2) for value in said[2:5]] == [1.0, 1.0, 1.0]
    assert said[:2] == [0.0, 0.0]
    assert all(one["video"] == "talk" for one in why["moments"])


def test_browsers_are_told_to_do_no_more_than_the_page_needs(page: Page) -> None:
    for path in ("/", "/page.js", "/media/talk", "/api/videos/nobody", "/nothing"):
        headers = page.get(path).headers
        assert "default-src 'none'; script-src 'self'; style-src 'self'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
    assert page.get("/", Host="elsewhere.example").status == 421
    assert page.get("/", Host="localhost:1").status == 200
    html = page.get("/").body.decode()
    assert "<style" not in html
    assert "http://" not in html.replace("http://www.w3.org/2000/svg", "")


def test_only_files_below_the_roots_are_given_out(page: Page, tmp_path: Path) -> None:
    allowed = Shelf([page.collection], [page.videos])
    assert allowed.find("", "talk").path == page.videos / "talk.mp4"
    with pytest.raises(NotFound, match="lies in no folder of"):
        Shelf([page.collection], [tmp_path]).find("", "talk")
    assert allowed.holds("films", "talk")
    assert not allowed.holds("films", "nobody")
    # A file that a link has taken the place of is judged by where it leads.
    linked = page.videos / "old.avi"
    moved = linked.rename(tmp_path / "old.avi")
    try:
        with pytest.raises(NotFound, match="was moved or deleted; move it back"):
            allowed.find("", "old")
        linked.symlink_to(moved)
        with pytest.raises(NotFound, match="lies in no folder of"):
            allowed.find("", "old")
    finally:
        linked.unlink()
        moved.rename(linked)


@pytest.mark.parametrize("path", ["/media/talk", "/thumb/talk?t=5", "/strip/talk?start=0&end=4"])
def test_what_a_browser_keeps_of_a_file_goes_when_the_file_changes(page: Page, path: str) -> None:
    first = page.get(path)
    assert first.headers["cache-control"] == "private, no-cache"
    etag = first.headers["etag"]
    assert (
        page.get(path, None, **{"If-None-Match": etag}).status,
        page.get(path, None, **{"If-None-Match": etag}).body,
    ) == (304, b"")
    talk = page.videos / "talk.mp4"
    before = talk.stat()
    os.utime(talk, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    try:
        assert page.get(path, None, **{"If-None-Match": etag}).status == 200
        part = page.get(path, None, **{"If-Range": etag, "Range": "bytes=0-9"})
        assert part.status == 200  # never the rest of another file
    finally:
        os.utime(talk, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_without_a_library_there_are_no_matches(page: Page) -> None:
    assert page.get("/api/matches").json() == {"matches": []}
    assert page.get("/api/matches?collection=none").status == 404
