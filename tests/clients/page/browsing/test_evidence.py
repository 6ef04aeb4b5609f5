"""Where and why in a real Chromium: channels, lines that play, boxes over the picture."""

import json
from typing import Any

import pytest

from tests.clients.page.browsing.tabs import Tab, boxes, expect
from tests.clients.page.browsing.test_asking import ANSWER, MOMENT, REFINED, answered, said

FIRST = "ol[aria-label^=Moments] > li:first-child"


def at(tab: Tab, seconds: float) -> None:
    """Wait until the video was set to a second; it may play on before the page hears of it."""
    tab.wait_for_function(f"() => window.landed > {seconds} - 0.1 && window.landed < {seconds} + 2")


def test_a_card_says_what_found_it_and_its_line_plays(tab: Tab) -> None:
    tab.goto("/?q=RE16")
    expect(tab.locator(REFINED)).to_be_visible()
    card = tab.locator(FIRST)
    expect(card.locator(".badge").first).to_have_text("written 1")
    expect(card.locator("mark")).to_have_text(["RE16"])
    # Its frame is in the middle of the line.
    assert "t=18.0" in card.locator(".shot img").first.get_attribute("src")
    assert "written, number 1" in card.get_by_role("link").first.get_attribute("aria-label")
    line = card.get_by_role("button", name="exit RE16")
    line.click()
    at(tab, 17.0)
    assert (said(tab, "v"), said(tab, "t")) == (["talk"], ["17"])
    player = tab.locator(".watch")
    expect(player.locator(".evidence mark")).to_have_text(["RE16"])
    rows = ["frames", "similarity", "speech", "screen", "seen", "written", "proposal", "moment"]
    expect(player.locator(".names span")).to_have_text(rows)
    assert player.locator(".lane[data-channel=written] .segment").count() > 0
    # The same line once more plays it again; what lies outside of the moment ends the loop.
    tab.evaluate("window.landed = undefined")
    line.click()
    at(tab, 17.0)
    player.get_by_role("button", name="What is said").click()
    player.get_by_role("button", name="a red ball bounces").click()
    at(tab, 2.0)
    expect(player.get_by_role("button", name="Loop")).to_have_attribute("aria-pressed", "false")
    tab.go_back()
    tab.go_back()
    expect(player).to_have_count(0)


def test_a_text_on_the_screen_is_framed_while_it_is_there(tab: Tab) -> None:
    tab.goto("/?q=RE16")
    expect(tab.locator(REFINED)).to_be_visible()
    tab.locator(FIRST).get_by_role("link").click()
    tab.get_by_role("button", name="Pause").click()
    player = tab.locator(".watch")
    player.locator(".quote").click()
    at(tab, 17.0)
    expect(player.locator(".cue[data-matched]")).to_have_count(1)
    expect(player.locator(".boxes rect")).to_have_count(1)
    box, picture = boxes(tab, ".watch .boxes rect", "video")
    # Talk is 96 x 64, shown in a wider frame: its picture has the frame's height.
    width = picture["height"] * 96 / 64
    left = picture["x"] + (picture["width"] - width) / 2
    assert box["x"] == pytest.approx(left + width / 4, abs=3)
    assert box["width"] == pytest.approx(width / 2, abs=4)
    assert box["y"] == pytest.approx(picture["y"] + picture["height"] / 2, abs=3)
    texts = player.get_by_role("region", name="Transcript")
    expect(texts.locator("mark")).to_have_text(["RE16"])
    texts.get_by_role("button", name="What is said").click()
    texts.get_by_role("button", name="<3 & more").click()
    at(tab, 9.0)
    expect(player.locator(".boxes rect")).to_have_count(0)


def test_one_chooses_where_to_look(tab: Tab) -> None:
    tab.set_viewport_size({"width": 390, "height": 780})
    tab.goto("/?q=RE16")
    expect(tab.locator(".badge", has_text="seen").first).to_be_visible()
    where = tab.get_by_role("group", name="Where to look")
    where.get_by_role("button", name="seen").click()
    assert said(tab, "in") == ["said", "written"]
    expect(tab.locator("[data-card]")).to_have_count(1)
    expect(tab.locator(".badge")).to_have_text(["written 1"])
    expect(where.get_by_role("button", name="seen")).to_have_attribute("aria-pressed", "false")
    assert not tab.evaluate("document.documentElement.scrollWidth > innerWidth")
    tab.keyboard.press("w")
    assert said(tab, "in") == ["seen"]
    for _ in range(3):
        tab.keyboard.press("w")
    assert said(tab, "in") == []
    tab.go_back()
    assert said(tab, "in") == ["written"]
    # The list of all channels stays until this one's is there, and takes a click with it.
    expect(tab.locator(".badge")).to_have_text(["written 1"])
    expect(tab.locator(REFINED)).to_be_visible()
    tab.locator(FIRST).get_by_role("button", name="exit RE16").click()
    at(tab, 17.0)
    tab.get_by_role("button", name="Pause").click()
    assert not tab.evaluate("document.documentElement.scrollWidth > innerWidth")


def test_a_collection_without_texts_shows_nothing_of_them(tab: Tab) -> None:
    def pictures_alone(route: Any) -> None:
        served = route.fetch().json()["collections"]
        route.fulfill(body=json.dumps({"collections": [{**one, "channels": ["seen"]} for one in served]}))

    tab.route("**/api/collections", pictures_alone)
    answered(tab, {**ANSWER, "moments": [{**MOMENT, "foundBy": []}]})
    with tab.expect_response("**/api/collections"):
        tab.goto("/?q=RE16")
    expect(tab.locator("[data-card]")).to_have_count(1)
    assert [tab.locator(one).count() for one in (".where", ".badge", ".quote")] == [0, 0, 0]
