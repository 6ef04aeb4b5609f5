"""Which moment a person is at, in a real Chromium: in the list, in the address, behind a video's end."""

import json
import re
from typing import Any

from tests.clients.page.browsing.tabs import Tab, expect
from tests.clients.page.browsing.test_asking import ANSWER, MOMENT

SPANS = ((1.234, 5.0), (1.234, 20.0), (7.001, 9.0))


def answered(tab: Tab) -> None:
    found: list[dict[str, Any]] = [
        {**MOMENT, "start": start, "end": end, "rank": rank, "proposal": [start, end]}
        for rank, (start, end) in enumerate(SPANS, 1)
    ]
    body = json.dumps({**ANSWER, "moments": found})
    tab.route("**/api/search?*", lambda route: route.fulfill(body=body))


def test_moments_that_begin_at_once_are_walked_through_also_after_a_reload(tab: Tab) -> None:
    answered(tab)
    tab.goto("/?q=x")
    cards = tab.locator("[data-card]")
    expect(cards).to_have_count(3)
    tab.keyboard.press("Escape")  # leaves the field
    for place in range(3):
        tab.keyboard.press("j")
        expect(cards.nth(place)).to_be_focused()
    cards.first.click()
    for ends in ("20", "9"):
        tab.keyboard.press("j")
        tab.wait_for_url(re.compile(rf"at=[0-9.]+-{ends}$"))
        tab.reload()
        expect(tab.locator("[data-card][aria-current]")).to_have_count(1)
    tab.keyboard.press("Escape")
    expect(cards.nth(2)).to_be_focused()


def test_a_moment_behind_the_end_of_its_video_is_told_and_not_played_again_and_again(tab: Tab) -> None:
    answered(tab)
    for at in ("60-70", "1e9-2e9", "60-1e15"):
        tab.goto(f"/?q=x&v=talk&at={at}")
        expect(tab.locator(".watch").get_by_role("alert")).to_contain_text("the video ends at 0:24")
        assert tab.locator(".scale span").count() <= 8
    seeks = """() => new Promise(done => {
        let count = 0;
        document.querySelector("video").addEventListener("seeking", () => count++);
        let frames = 30;
        const look = () => frames-- ? requestAnimationFrame(look) : done(count);
        look();
    })"""
    assert tab.evaluate(seeks) <= 2


def test_a_collection_of_an_address_is_known_in_any_unicode_form(tab: Tab) -> None:
    about = {"videos": 1, "segments": 1, "version": "1", "channels": ["seen"]}
    served = json.dumps({"collections": [about | {"name": name} for name in ("first", "\u00fcber")]})
    tab.route("**/api/collections", lambda route: route.fulfill(body=served))
    tab.goto("/?c=u%CC%88ber")
    expect(tab.get_by_label("Collection")).to_have_value("\u00fcber")
    expect(tab.locator(".start b")).to_have_text("\u00fcber")
