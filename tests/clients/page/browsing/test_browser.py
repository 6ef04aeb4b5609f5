"""The page in a real Chromium: what a person does with it."""

import json
import re
import urllib.parse
from collections.abc import Callable
from typing import Any

import pytest

from tests.clients.page.browsing.tabs import Tab, ask, boxes, expect, serious
from tests.workers.ranker.factories import TEXTS


def playing(tab: Tab) -> float:
    """Wait until the video plays; return the second of the video at which it began."""
    runs = "v && !v.paused && v.currentTime > 0 && window.landed !== undefined"
    tab.wait_for_function(f"() => {{ const v = document.querySelector('video'); return {runs} }}")
    return float(tab.eval_on_selector("video", "v => window.landed + Number(v.dataset.offset)"))


def asked_span(tab: Tab) -> tuple[str, float, float]:
    given = urllib.parse.parse_qs(urllib.parse.urlsplit(tab.url).query)
    start, end = given["at"][0].split("-")
    return given["v"][0], float(start), float(end)


def test_search_watch_it_refine_and_play(tab: Tab) -> None:
    ask(tab)
    assert tab.evaluate("window.stages") == ["waiting", "coarse", "refined"]
    cards = tab.locator("[data-card]")
    assert cards.count() >= 3
    # What has the same look all the time keeps the boundaries that were proposed.
    assert 0 < tab.locator("li[data-refined]").count() <= cards.count()
    expect(tab.locator(".line")).to_contain_text("in 3 videos")
    tab.get_by_role("link", name=re.compile("talk")).first.click()
    seconds = playing(tab)
    video, start, end = asked_span(tab)
    assert video == "talk"
    assert start - 0.1 <= seconds < end
    for kind in ("segment", "proposal", "refined", "cue"):
        expect(tab.locator(f".lanes .{kind}").first).to_be_attached()
    expect(tab.locator(".curve path")).to_be_attached()
    expect(tab.locator(".because")).to_contain_text("by words of what is said")
    # What is said is marked where it is the query, and leads there.
    line = tab.get_by_label("Transcript").get_by_role("button", name="a red ball bounces")
    tab.get_by_role("button", name="Pause").click()
    line.click()
    tab.wait_for_function("() => Math.abs(document.querySelector('video').currentTime - 2) < 0.1")
    expect(line).to_have_attribute("aria-current", "true")


def test_a_card_shows_the_second_that_is_most_like_the_query(tab: Tab) -> None:
    tab.goto("/?q=a+red+ball+bounces&in=seen")
    expect(tab.locator("main[data-stage=refined]")).to_be_visible()
    said = tab.evaluate("fetch(`/api/search${location.search}`).then(answer => answer.text())")
    moments = json.loads(said.splitlines()[-1])["moments"]
    assert any(one["best"] is not None for one in moments)
    expect(tab.locator("[data-card]")).to_have_count(len(moments))
    for number, one in enumerate(moments):
        second = (one["start"] + one["end"]) / 2 if one["best"] is None else one["best"]
        assert one["start"] <= second < one["end"]
        shown = tab.locator("[data-card]").nth(number).locator(".shot img").first.get_attribute("src") or ""
        asked = urllib.parse.parse_qs(urllib.parse.urlsplit(shown).query)
        assert float(asked["t"][0]) == pytest.approx(second, abs=0.051)


def test_a_moment_ends_where_it_began(tab: Tab) -> None:
    ask(tab)
    tab.get_by_role("link", name=re.compile("talk")).first.click()
    playing(tab)
    _, start, end = asked_span(tab)
    tab.eval_on_selector("video", f"v => {{ window.landed = undefined; v.currentTime = {end - 0.1} }}")
    # Set back by the page, not by us; a busy machine tells so late, while it plays on.
    tab.wait_for_function(f"() => window.landed > {start - 0.05} && window.landed < {(start + end) / 2}")
    tab.get_by_role("button", name="Loop").click()
    expect(tab.get_by_role("button", name="Loop")).to_have_attribute("aria-pressed", "false")


def test_what_no_browser_plays_is_converted_and_said_so(tab: Tab) -> None:
    ask(tab)
    tab.get_by_role("link", name=re.compile("old, ")).first.click()
    seconds = playing(tab)
    _, start, end = asked_span(tab)
    assert start - 0.1 <= seconds < end
    expect(tab.locator(".how")).to_have_text("converted for this page: browsers do not play MPEG-4 part 2")


def test_the_address_is_the_state(tab: Tab) -> None:
    ask(tab)
    tab.get_by_role("link", name=re.compile("talk")).first.click()
    moment = tab.url
    tab.go_back()
    expect(tab.locator(".watch")).to_have_count(0)
    expect(tab.locator("[data-card]").first).to_be_visible()
    tab.goto(moment)
    playing(tab)
    expect(tab.get_by_label("Describe a moment")).to_have_value(TEXTS[0])
    tab.get_by_role("link", name="SPR, start page").click()
    tab.get_by_role("button", name=TEXTS[0]).click()  # of the earlier queries
    expect(tab.locator("main[data-stage=refined]")).to_be_visible()


def test_all_of_it_by_keyboard(tab: Tab) -> None:
    tab.goto("/")
    expect(tab.get_by_label("Describe a moment")).to_be_focused()
    tab.keyboard.type(TEXTS[1])
    tab.keyboard.press("Enter")
    expect(tab.locator("main[data-stage=refined]")).to_be_visible()
    cards = tab.locator("[data-card]")
    for key, place in (("j", 0), ("j", 1), ("j", 2), ("k", 1)):
        tab.keyboard.press(key)
        expect(cards.nth(place)).to_be_focused()
    tab.keyboard.press("Enter")
    playing(tab)
    second = tab.url
    tab.keyboard.press("Space")
    tab.wait_for_function("() => document.querySelector('video').paused")
    tab.keyboard.press("j")
    tab.wait_for_function(f"() => location.href !== {json.dumps(second)}")
    playing(tab)
    tab.keyboard.press("Escape")
    expect(tab.locator(".watch")).to_have_count(0)
    expect(cards.nth(2)).to_be_focused()
    tab.keyboard.press("g")
    expect(tab.locator("ol.list")).to_be_visible()
    tab.keyboard.press("?")
    expect(tab.get_by_role("dialog")).to_contain_text("play, pause")
    tab.keyboard.press("Escape")
    tab.keyboard.press("/")
    expect(tab.get_by_label("Describe a moment")).to_be_focused()


def test_nothing_serious_keeps_anybody_out(tab: Tab) -> None:
    tab.emulate_media(reduced_motion="reduce")
    tab.goto("/")
    found = serious(tab, "start")
    ask(tab)
    found += serious(tab, "results")
    tab.get_by_role("link", name=re.compile("talk")).first.click()
    playing(tab)
    tab.keyboard.press("Space")
    found += serious(tab, "moment")
    assert found == []


def test_a_narrow_screen_shows_all_of_it(tab: Tab) -> None:
    tab.set_viewport_size({"width": 390, "height": 780})
    ask(tab)
    # Soon: the page is laid out anew while the player comes.
    fits = "document.documentElement.scrollWidth <= innerWidth"
    tab.wait_for_function(fits)
    tab.locator("[data-card]").first.click()
    playing(tab)
    tab.wait_for_function(fits)
    expect(tab.locator(".area")).to_be_visible()
    box, names, lanes = boxes(tab, "video", ".names", ".area")
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 390
    assert names["y"] == lanes["y"]
    expect(tab.locator(".names").get_by_text("speech")).to_be_visible()
    tab.get_by_role("button", name="Close the player").click()
    expect(tab.locator(".watch")).to_have_count(0)


COVERED = {"videos": 3, "searched": 3, "degraded": [], "unreachable": []}
ANSWER = {
    "stage": "refined", "moments": [], "total": 0, "next": "", "coverage": COVERED, "ranker": "relo@1",
    "collection": "films", "noConfidentMatch": False, "threshold": 0.9, "truncated": False,
}  # fmt: skip
MOMENT = {
    "video": "talk", "start": 1, "end": 5, "rank": 1, "score": 1.0, "confidence": 0.34, "refined": True,
    "proposal": [0, 8],
}  # fmt: skip
LOST = {
    "videos": 3, "searched": 2, "degraded": ["SHARD_UNAVAILABLE", "RANKER_SKIPPED"],
    "unreachable": ["shard-00001"],
}  # fmt: skip
GONE = {"error": {"message": "nothing answers (refused)", "reason": "UNAVAILABLE", "retryAfter": 1}}
BUSY = {"error": {"message": "the queue is full", "reason": "QUEUE_FULL", "retryAfter": 1}}


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (200, ANSWER, "no moment for these words"),
        (
            200,
            {**ANSWER, "moments": [MOMENT], "noConfidentMatch": True},
            "The nearest is 34% sure; from 90% on",
        ),
        (200, {**ANSWER, "coverage": LOST}, "1 video was not searched: shard-00001 does not answer"),
        (200, {**ANSWER, "coverage": LOST}, "no ranker answered in time"),
        (429, BUSY, "The queue is full."),
        (503, GONE, "refused). The service may be starting: try again"),
        (503, "upstream died", "the page's server answered 503"),
    ],
)
def test_every_state_says_what_it_is(tab: Tab, status: int, body: Any, words: str) -> None:
    tab.route("**/api/search?*", lambda route: route.fulfill(status=status, body=json.dumps(body)))
    tab.goto("/?q=x")
    expect(tab.get_by_text(re.compile(re.escape(words), re.I))).to_be_visible()
    if status != 200:
        tab.unroute("**/api/search?*")
        tab.get_by_role("button", name="Try again").click()
        expect(tab.locator("[data-card]").first).to_be_visible()


def test_an_address_without_a_set_of_queries_says_so_and_nothing_else(tab: Tab) -> None:
    tab.goto("/annotate")
    expect(tab.locator(".note[role=alert]")).to_contain_text("names no set of queries")
    expect(tab.get_by_text("judged")).to_have_count(0)


def test_a_slow_answer_is_waited_for_in_sight(tab: Tab) -> None:
    held: list[Callable[[], None]] = []
    tab.route("**/api/search?*", lambda route: held.append(route.continue_))
    tab.goto("/?q=x")
    expect(tab.locator(".skeleton")).to_be_visible()
    expect(tab.get_by_role("status")).to_have_text("Searching")
    held[0]()
    expect(tab.locator("[data-card]").first).to_be_visible()
    expect(tab.locator(".skeleton")).to_have_count(0)
