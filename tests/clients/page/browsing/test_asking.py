"""More than a sentence, in a real Chromium: filters, choices, pictures, what was understood."""

import io
import json
import re
import urllib.parse
from pathlib import Path
from typing import Any

from PIL import Image

from tests.clients.page.browsing.tabs import Tab, ask, expect, serious
from tests.workers.ranker.factories import TEXTS

REFINED = "main[data-stage=refined]"


def said(tab: Tab, name: str) -> list[str]:
    """The values of a name in the address."""
    return urllib.parse.parse_qs(urllib.parse.urlsplit(tab.url).query).get(name, [])


def videos(tab: Tab) -> set[str]:
    cards = tab.locator("[data-card]").evaluate_all("all => all.map(one => one.dataset.card)")
    return {card.split("@")[0] for card in cards}


def test_filters_keep_what_passes_and_are_in_the_address(tab: Tab) -> None:
    ask(tab)
    assert len(videos(tab)) == 3
    tab.get_by_role("button", name="spoken 1").click()
    expect(tab.locator(".line")).to_contain_text("1 let through by the filters")
    assert (videos(tab), said(tab, "label")) == ({"talk"}, ["spoken"])
    shared = tab.url
    tab.get_by_role("button", name="Filters").click()
    tab.get_by_label("At least so long").fill("5 minutes")
    tab.keyboard.press("Tab")
    assert said(tab, "longer") == []  # no time: it stays, and says so
    tab.get_by_label("At least so long").fill("1:00")
    tab.keyboard.press("Tab")
    expect(tab.get_by_text("0 videos pass the filters")).to_be_visible()
    tab.get_by_role("button", name="Clear filters").click()
    expect(tab.locator(".line")).to_contain_text("in 3 videos")
    expect(tab.locator("[data-card]").nth(2)).to_be_visible()
    tab.get_by_label("Folder").fill("deep")
    tab.keyboard.press("Tab")
    expect(tab.locator(".line")).to_contain_text("1 let through")
    assert videos(tab) == {"gop"}
    tab.goto(shared)
    expect(tab.locator(REFINED)).to_be_visible()
    assert videos(tab) == {"talk"}
    tab.get_by_label("Moments a video").fill("1")
    tab.keyboard.press("Tab")
    expect(tab.locator(".line")).to_contain_text("1 moment")


def test_chosen_moments_are_exported_by_keyboard_and_mouse(tab: Tab) -> None:
    ask(tab)
    tab.get_by_role("checkbox", name="Choose moment 2").check()
    tab.keyboard.press("Escape")
    tab.keyboard.press("j")
    tab.keyboard.press("x")
    with tab.expect_download() as kept:
        tab.get_by_role("button", name="Export 2 chosen").click()
    lines = Path(kept.value.path()).read_text().splitlines()
    assert (kept.value.suggested_filename, len(lines)) == ("moments.csv", 3)
    assert [line.split(",")[1] for line in lines[1:]] == ["1", "2"]
    tab.get_by_role("button", name="Choose none").click()
    tab.get_by_label("Format").select_option("otio")
    with tab.expect_download() as kept:
        tab.get_by_role("button", name=re.compile(r"Export \d+ moment")).click()
    assert json.loads(Path(kept.value.path()).read_text())["OTIO_SCHEMA"] == "Timeline.1"


INTERPRETED = {
    "text": "a ball stops", "then": ["it falls"], "not": ["a car"],
    "lifts": [{"words": "after 10:00", "meaning": "from 10:00 on"}],
}  # fmt: skip
MOMENT = {
    "video": "talk", "start": 1, "end": 5, "rank": 1, "score": 1.0, "confidence": 0.34, "refined": True,
    "proposal": [0, 8], "parts": [[1, 3], [4, 5]], "also": [{"video": "copy/old", "span": [2, 6]}],
    "foundBy": [
        {"part": 0, "channel": "seen", "method": "meaning", "rank": 2, "line": None},
        {"part": 1, "channel": "seen", "method": "meaning", "rank": 0, "line": None},
        {"part": 1, "channel": "said", "method": "words", "rank": 4, "line": None},
    ],
}  # fmt: skip
ANSWER = {
    "stage": "refined", "moments": [MOMENT], "total": 1, "next": "", "ranker": "relo@1", "truncated": False,
    "coverage": {"videos": 3, "searched": 3, "degraded": [], "unreachable": []}, "threshold": 0.3,
    "collection": "films", "noConfidentMatch": False, "facets": [{"label": "red", "videos": 1}],
    "interpretation": INTERPRETED,
}  # fmt: skip


def answered(tab: Tab, body: Any = ANSWER, status: int = 200) -> None:
    tab.route("**/api/search?*", lambda route: route.fulfill(status=status, body=json.dumps(body)))


def test_what_was_understood_is_undone_by_a_click(tab: Tab) -> None:
    tab.emulate_media(reduced_motion="reduce")
    tab.set_viewport_size({"width": 390, "height": 780})
    answered(tab)
    tab.goto("/?q=a+ball+stops+after+10:00,+not+a+car")
    expect(tab.locator(".understood")).to_contain_text("“a ball stops”, then “it falls”, not “a car”")
    expect(tab.get_by_text("0:01–0:03, then 0:04–0:05")).to_be_visible()
    # What found each part, under the part's number.
    expect(tab.locator(".badges > *")).to_have_text(["1.", "seen 3", "2.", "seen 1", "said 5"])
    expect(
        tab.get_by_role("link", name=re.compile("part 2 found by what is seen, number 1; said, number 5"))
    ).to_be_visible()
    tab.get_by_role("button", name="Filters").click()
    assert serious(tab, "understood") == []
    assert not tab.evaluate("document.documentElement.scrollWidth > innerWidth")
    tab.get_by_role("button", name=re.compile("from 10:00 on: undo")).click()
    assert said(tab, "literal") == ["after 10:00"]
    tab.get_by_role("button", name=re.compile("interpret it again")).click()
    assert said(tab, "literal") == []
    tab.get_by_role("link", name="old", exact=True).click()
    assert said(tab, "v") == ["copy/old"]


def test_sentences_and_what_must_not_be_there_are_in_the_address(tab: Tab) -> None:
    answered(tab)
    tab.goto("/?q=a+ball")
    for button, words in (("+ Then", "it stops"), ("+ Not", "a car")):
        tab.get_by_role("button", name=button).click()
        tab.keyboard.type(words)
        tab.keyboard.press("Enter")
    tab.get_by_label("within").fill("5")
    tab.keyboard.press("Tab")
    assert (said(tab, "then"), said(tab, "not"), said(tab, "within")) == (["it stops"], ["a car"], ["5"])
    tab.get_by_label("then", exact=True).fill("")
    tab.keyboard.press("Enter")
    assert (said(tab, "then"), said(tab, "not")) == ([], ["a car"])


def picture(colour: str) -> dict[str, Any]:
    out = io.BytesIO()
    Image.new("RGB", (2000, 1000), colour).save(out, "PNG")
    return {"name": f"{colour}.png", "mimeType": "image/png", "buffer": out.getvalue()}


def test_pictures_are_added_and_taken_away(tab: Tab) -> None:
    answered(tab)
    tab.goto("/")
    tab.get_by_label("Search by picture").set_input_files([picture("red"), picture("blue")])
    shown = tab.get_by_alt_text(re.compile("Picture . of the query"))
    expect(shown).to_have_count(2)
    tab.wait_for_function(
        "() => [...document.querySelectorAll('.example img')].every(one => one.naturalWidth === 768)"
    )
    assert len(said(tab, "img")) == 2
    assert serious(tab, "pictures") == []
    tab.get_by_role("button", name="Take away picture 1").click()
    expect(shown).to_have_count(1)
    tab.get_by_label("Search by picture").set_input_files(
        {"name": "no.png", "mimeType": "image/png", "buffer": b"none"}
    )
    expect(tab.get_by_role("alert")).to_contain_text("cannot read that file as a picture")
    tab.unroute("**/api/search?*")
    tab.goto("/?img=0123")
    expect(tab.get_by_role("alert")).to_contain_text("no longer kept by the page; add it again")


def test_a_picture_and_more_like_this_find_moments(tab: Tab) -> None:
    tab.goto("/")
    tab.get_by_label("Search by picture").set_input_files(picture("grey"))
    expect(tab.locator(REFINED)).to_be_visible()
    assert tab.locator("[data-card]").count() > 0
    tab.locator("li").filter(has=tab.locator("[data-card]")).first.hover()
    tab.get_by_role("button", name="More like moment 1").click()
    expect(tab.locator(".example")).to_contain_text("like")
    expect(tab.locator(REFINED)).to_be_visible()
    assert (len(said(tab, "like")), said(tab, "img")) == (1, [])
    # What is like a moment is found first at that moment.
    assert said(tab, "like")[0].split("@")[0] in videos(tab)


def test_sentences_in_order_find_moments(tab: Tab) -> None:
    tab.goto("/?" + urllib.parse.urlencode({"q": TEXTS[0], "then": TEXTS[1], "in": "seen"}))
    expect(tab.locator(REFINED)).to_be_visible()
    expect(tab.get_by_text(re.compile(", then 0:")).first).to_be_visible()
