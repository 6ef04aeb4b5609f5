"""Where and why in a real Chromium: channels, lines that play, boxes over the picture."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.clients.page.tabs import Tab, expect, serious
from tests.clients.page.test_asking import ANSWER, MOMENT, said

LINE = {"start": 6.0, "end": 9.0, "pieces": [["the ", False], ["RED", True], [" gate", False]]}
BOX = [0.25, 0.5, 0.75, 1.0]
SPOKEN = {"start": 2.0, "end": 5.0, "pieces": [["a ", False], ["red", True], [" ball bounces", False]]}
FOUND = [
    {"channel": "written", "method": "words", "rank": 0, "line": {**LINE, "box": BOX}},
    {"channel": "said", "method": "words", "rank": 1, "line": {**SPOKEN, "box": None}},
    {"channel": "said", "method": "meaning", "rank": 4, "line": {**SPOKEN, "box": None}},
    {"channel": "seen", "method": "meaning", "rank": 6, "line": None},
]
SHOWN = {**MOMENT, "start": 4, "end": 8, "parts": [], "also": [], "foundBy": FOUND}
SEGMENT = {"start": 4.0, "end": 8.0, "score": 0.5}
WHY = {
    "video": "talk", "duration": 24.0, "moments": [SHOWN], "frames": None, "subtitles": None, "ranker": "",
    "segments": [{**SEGMENT, **{key: one[key] for key in ("channel", "method", "rank")}} for one in FOUND],
}  # fmt: skip


def fulfilled(body: Any) -> Callable[[Any], None]:
    return lambda route: route.fulfill(body=json.dumps(body))


def with_texts(tab: Tab) -> None:
    """Let the service answer as one of a collection with texts; files and pictures are its own."""
    served = [{"name": "films", "videos": 3, "segments": 9, "channels": ["seen", "said", "written"]}]
    answers = {"search?*": {**ANSWER, "moments": [SHOWN], "interpretation": None}, "explain/*": WHY}
    answers["collections"] = {"collections": served}
    for path, body in answers.items():
        tab.route(f"**/api/{path}", fulfilled(body))

    def about(route: Any) -> None:
        value = route.fetch().json()
        value["written"] = [[6.0, 9.0, "the RED gate", BOX], [10.0, 12.0, "the end", None]]
        route.fulfill(body=json.dumps(value))

    tab.route("**/api/videos/*", about)


def at(tab: Tab, seconds: float) -> None:
    """Wait until the video was set to a second."""
    tab.wait_for_function(f"() => Math.abs(window.landed - {seconds}) < 0.1")


def test_a_card_says_what_found_it_and_its_line_plays(tab: Tab) -> None:
    with_texts(tab)
    tab.goto("/?q=red")
    card = tab.locator("li", has=tab.locator("[data-card]"))
    expect(card.locator(".badge")).to_have_text(["written 1", "said 2", "seen 7"])
    expect(card.locator("mark")).to_have_text(["RED"])
    # The line lies half in the moment: its frame is in the middle of that half.
    assert "t=7.0" in card.locator(".shot img").first.get_attribute("src")
    assert "written, number 1" in card.get_by_role("link").first.get_attribute("aria-label")
    line = card.get_by_role("button", name="the RED gate")
    line.click()
    at(tab, 6.0)
    assert (said(tab, "at"), said(tab, "t")) == (["4-8"], ["6"])
    player = tab.locator(".watch")
    expect(player.locator(".evidence mark")).to_have_text(["RED", "red"])
    rows = ["frames", "similarity", "speech", "screen", "seen", "said", "written", "proposal", "moment"]
    expect(player.locator(".names span")).to_have_text(rows)
    # A segment that words and meaning found is one.
    expect(player.locator(".lane[data-channel=said] .segment")).to_have_count(1)
    # The same line once more plays it again; one outside of the moment ends the loop.
    tab.evaluate("window.landed = undefined")
    line.click()
    at(tab, 6.0)
    player.locator(".evidence").get_by_role("button", name="a red ball bounces").click()
    at(tab, 2.0)
    expect(player.get_by_role("button", name="Loop")).to_have_attribute("aria-pressed", "false")
    tab.go_back()
    tab.go_back()
    expect(player).to_have_count(0)


def test_a_text_on_the_screen_is_framed_while_it_is_there(tab: Tab) -> None:
    with_texts(tab)
    tab.goto("/?q=red&v=talk&at=4-8&t=6.5")
    player = tab.locator(".watch")
    at(tab, 6.5)
    tab.get_by_role("button", name="Pause").click()
    box, picture = player.locator(".boxes rect").bounding_box(), tab.locator("video").bounding_box()
    # Talk is 96 x 64, shown in a wider frame: its picture has the frame's height.
    width = picture["height"] * 96 / 64
    left = picture["x"] + (picture["width"] - width) / 2
    assert box["x"] == pytest.approx(left + width / 4, abs=3)
    assert box["width"] == pytest.approx(width / 2, abs=4)
    assert box["y"] == pytest.approx(picture["y"] + picture["height"] / 2, abs=3)
    player.get_by_role("button", name="On the screen").click()
    texts = player.get_by_role("region", name="Transcript")
    expect(texts.locator("mark")).to_have_text(["RED"])
    texts.get_by_role("button", name="the end").click()
    at(tab, 10.0)
    expect(player.locator(".boxes rect")).to_have_count(0)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_one_chooses_where_to_look(tab: Tab, scheme: str) -> None:
    tab.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    tab.set_viewport_size({"width": 390, "height": 780})
    with_texts(tab)
    tab.goto("/?q=red")
    where = tab.get_by_role("group", name="Where to look")
    where.get_by_role("button", name="seen").click()
    assert said(tab, "in") == ["said", "written"]
    expect(where.get_by_role("button", name="seen")).to_have_attribute("aria-pressed", "false")
    found = serious(tab, "results")
    assert not tab.evaluate("document.documentElement.scrollWidth > innerWidth")
    tab.keyboard.press("w")
    assert said(tab, "in") == ["seen"]
    for _ in range(3):
        tab.keyboard.press("w")
    assert said(tab, "in") == []
    tab.go_back()
    assert said(tab, "in") == ["written"]
    tab.locator("[data-card]").click()
    at(tab, 4.0)
    tab.get_by_role("button", name="Pause").click()
    assert not tab.evaluate("document.documentElement.scrollWidth > innerWidth")
    assert found + serious(tab, "moment") == []


def test_a_collection_without_texts_shows_nothing_of_them(tab: Tab) -> None:
    tab.goto("/?q=a+red+ball+bounces")
    expect(tab.locator("main[data-stage=refined]")).to_be_visible()
    expect(tab.get_by_role("group", name="Where to look")).to_have_count(0)
    assert tab.locator(".quote").count() == 0
