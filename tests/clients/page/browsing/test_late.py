"""Answers that come late or break off, in a real Chromium: what a person did since then stands."""

import json
import re
from collections.abc import Callable
from typing import Any

from tests.clients.page.browsing.tabs import Tab, expect
from tests.clients.page.browsing.test_asking import ANSWER, MOMENT


def moments(*videos: str, following: str = "") -> str:
    return json.dumps({**ANSWER, "moments": [{**MOMENT, "video": one} for one in videos], "next": following})


def test_a_further_page_of_another_query_is_left_out(tab: Tab) -> None:
    held = list[Callable[[], None]]()

    def answer(route: Any) -> None:
        if "page=" in route.request.url:
            held.append(lambda: route.fulfill(body=moments("old")))
        else:
            asked = "q=first" in route.request.url
            route.fulfill(body=moments("talk", following="more") if asked else moments("new"))

    tab.route("**/api/search?*", answer)
    tab.goto("/?q=first")
    tab.get_by_role("button", name="More moments").click()
    expect(tab.get_by_role("button", name="Loading")).to_be_visible()
    tab.get_by_label("Describe a moment").fill("second")
    tab.keyboard.press("Enter")
    cards = tab.locator("[data-card]")
    expect(cards).to_have_attribute("data-card", "new@1-5")
    held[0]()
    tab.evaluate("() => new Promise(done => setTimeout(done, 50))")
    expect(cards).to_have_count(1)
    expect(cards).to_have_attribute("data-card", "new@1-5")


def test_a_further_page_that_is_refused_leaves_the_list_and_can_be_asked_for_again(tab: Tab) -> None:
    asked = list[str]()
    away = {"error": {"message": "nothing answers", "reason": "UNAVAILABLE", "retryAfter": 1}}

    def answer(route: Any) -> Any:
        if "page=" not in route.request.url:
            return route.fulfill(body=moments("talk", following="more"))
        asked.append(route.request.url)
        if len(asked) > 1:
            return route.fulfill(body=moments("old"))
        return route.fulfill(status=503, body=json.dumps(away))

    tab.route("**/api/search?*", answer)
    tab.goto("/?q=x")
    tab.get_by_role("button", name="More moments").click()
    expect(tab.get_by_role("alert")).to_have_text("Nothing answers.")
    expect(tab.locator("[data-card]")).to_have_count(1)
    tab.get_by_role("button", name="More moments").click()
    expect(tab.locator("[data-card]")).to_have_count(2)
    expect(tab.get_by_role("alert")).to_have_count(0)


def test_an_old_list_stays_as_it_was_and_is_dimmed_where_the_next_is_late(tab: Tab) -> None:
    held = list[Callable[[], None]]()

    def answer(route: Any) -> None:
        if "q=first" in route.request.url:
            route.fulfill(body=moments("talk"))
        else:
            held.append(lambda: route.fulfill(body=moments("new")))

    tab.route("**/api/search?*", answer)
    tab.goto("/?q=first")
    cards = tab.locator("[data-card]")
    expect(cards).to_have_count(1)
    tab.get_by_label("Describe a moment").fill("second")
    tab.keyboard.press("Enter")
    expect(tab.locator("main[data-stage=waiting] [data-old] [data-card]")).to_have_count(1)
    expect(cards).to_have_attribute("href", re.compile("q=first"))
    held[0]()
    expect(cards).to_have_attribute("href", re.compile("q=second"))
    expect(tab.locator("[data-old]")).to_have_count(0)


def test_a_coarse_list_is_whole_though_no_refined_one_follows(tab: Tab) -> None:
    videos = [f"talk {number}" for number in range(30)]
    body = json.dumps({**json.loads(moments(*videos)), "stage": "coarse"})
    tab.route("**/api/search?*", lambda route: route.fulfill(body=body))
    tab.goto("/?q=x")
    expect(tab.locator("[data-card]")).to_have_count(30)
    expect(tab.locator("main[data-stage=coarse]")).to_be_visible()


def test_what_is_being_typed_stays_when_an_answer_comes(tab: Tab) -> None:
    held = list[Callable[[], None]]()
    tab.route("**/api/search?*", lambda route: held.append(lambda: route.fulfill(body=moments("talk"))))
    tab.goto("/?q=x")
    tab.get_by_role("button", name="Filters").click()
    tab.get_by_role("button", name="+ Then").click()
    tab.keyboard.type("it stops")
    tab.get_by_label("Folder").evaluate("field => field.value = 'news'")
    held[0]()
    expect(tab.locator("[data-card]")).to_have_count(1)
    expect(tab.get_by_label("then", exact=True)).to_have_value("it stops")
    expect(tab.get_by_label("Folder")).to_have_value("news")


def test_a_grade_is_newer_than_a_list_that_comes_late_and_is_of_its_moment(tab: Tab) -> None:
    tab.goto("/?q=graded+at+once")
    tab.locator("[data-card]").nth(1).click()
    mine = tab.get_by_role("region", name="Your judgement")
    tab.keyboard.press("1")
    expect(mine.get_by_role("status")).to_contain_text("saved")
    held = list[Callable[[], None]]()
    tab.route("**/api/judgements?*", lambda route: held.append(route.continue_))
    tab.reload()
    expect(tab.locator(".because")).to_be_visible()
    tab.keyboard.press("3")
    for _ in range(2):
        while held:
            with tab.expect_response("**/api/judgements?*"):
                held.pop(0)()
    expect(mine.get_by_role("button", name=re.compile("^3"))).to_have_attribute("aria-pressed", "true")
    expect(mine.get_by_role("status")).to_contain_text("saved")
    # What is saved when the next moment is open says nothing of that one.
    tab.keyboard.press("2")
    tab.keyboard.press("k")
    expect(mine.get_by_role("status")).to_contain_text("not judged")
    while held:
        with tab.expect_response("**/api/judgements?*"):
            held.pop(0)()
    expect(mine.get_by_role("status")).to_contain_text("not judged")
    expect(mine.get_by_role("button", name="Undo")).to_have_count(0)


def test_an_answer_that_breaks_off_is_told_in_a_sentence(tab: Tab) -> None:
    broken = (
        "ReadableStreamDefaultReader.prototype.read = async () => { throw new TypeError('network error') }"
    )
    tab.goto("/")
    tab.evaluate(f"() => {{ {broken} }}")
    tab.get_by_label("Describe a moment").fill("x")
    tab.keyboard.press("Enter")
    expect(tab.get_by_role("alert")).to_contain_text("The page's server does not answer")


def test_an_address_without_a_set_of_queries_says_so(tab: Tab) -> None:
    tab.goto("/annotate")
    expect(tab.get_by_role("alert")).to_contain_text("This address names no set of queries")
