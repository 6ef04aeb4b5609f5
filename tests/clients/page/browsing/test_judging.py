"""Grading and dragging in a real Chromium, and a set of queries judged from nothing."""

import json
import re
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from click.testing import CliRunner

from spr_cli.annotate import command, queries_of
from spr_cli.corpus_export_feedback import command as export
from spr_cli.feedback import command as feedback
from spr_client import Feedback, Judgement
from tests.clients.page.browsing.tabs import Tab, ask, expect
from tests.clients.page.browsing.test_browser import playing
from tests.clients.page.conftest import Page
from trainer.formats.feedback import judged
from trainer.library.judgements import stored

# Nobody says a word of it: its moments are as long as what is seen.
QUERY = "something spins"
UNGRADED = b'{"judgements": [{"query": "a", "video": "talk", "span": [1, 2], "grade": null}]}'


def kept(page: Page, query: str) -> list[Judgement]:
    with Feedback(page.coordinator) as asked:
        return list(asked.judgements(query))


def test_grade_drag_and_find_it_again(tab: Tab, page: Page) -> None:
    ask(tab, QUERY)
    tab.get_by_role("link", name=re.compile("talk")).first.click()
    playing(tab)
    mine = tab.get_by_role("region", name="Your judgement")
    tab.keyboard.press("3")
    expect(mine.get_by_role("status")).to_contain_text("saved")
    (first,) = kept(page, QUERY)
    assert (first.video, first.grade, first.span, first.rank > 0) == ("talk", 3, first.shown, True)
    # By mouse, then by keys: half a second and a tenth.
    handle = tab.get_by_role("slider", name="End of the moment")
    handle.scroll_into_view_if_needed()
    box = handle.bounding_box()
    assert box is not None
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    tab.mouse.move(*middle)
    tab.mouse.down()
    tab.mouse.move(middle[0] - 60, middle[1], steps=3)
    tab.mouse.up()
    expect(mine.get_by_role("status")).to_contain_text("saved")
    dragged = kept(page, QUERY)[0]
    assert (dragged.grade, dragged.shown) == (3, first.span)
    assert dragged.span[0] == first.span[0] < dragged.span[1] < first.span[1]
    tab.get_by_role("slider", name="Start of the moment").press("Shift+ArrowRight")
    expect(mine.get_by_role("status")).to_contain_text("saved")
    moved = kept(page, QUERY)[0]
    assert moved.span == pytest.approx((first.span[0] + 1, dragged.span[1]), abs=0.051)
    # What was dragged counts, once, and is there after a reload.
    (query,) = judged([one for one in stored(page.collection) if one.query == QUERY], {"talk": 24.0})
    assert [(one.start, one.end, one.relevance) for one in query.moments] == [(*moved.span, 3)]
    tab.reload()
    expect(mine.get_by_role("button", name=re.compile("^3"))).to_have_attribute("aria-pressed", "true")
    tab.keyboard.press("0")
    expect(mine.get_by_role("button", name=re.compile("^0"))).to_have_attribute("aria-pressed", "true")
    mine.get_by_role("button", name="Undo").click()
    expect(mine.get_by_role("button", name=re.compile("^3"))).to_have_attribute("aria-pressed", "true")
    assert kept(page, QUERY)[0].id == moved.id


def test_a_set_of_queries_is_judged_from_nothing(tab: Tab, page: Page, tmp_path: Path) -> None:
    (tmp_path / "queries.txt").write_text("something green\n\nsomething  new\n")
    done = CliRunner().invoke(command, [page.address, str(tmp_path / "queries.txt"), "--json"])
    assert done.exit_code == 0, done.output
    link = json.loads(done.output)["page"]
    tab.goto(link)
    progress = tab.get_by_role("status").first
    expect(progress).to_contain_text("0 of 2 queries judged")
    expect(tab.get_by_role("heading", name="something green")).to_be_visible()
    expect(tab.locator(".pool button").first).to_be_visible()
    tab.keyboard.press("4")
    expect(progress).to_contain_text("1 of 2 queries judged")
    tab.get_by_text("Add a moment by hand").click()
    tab.get_by_label("Video", exact=True).fill("talk")
    tab.get_by_label("from").fill("0:20")
    tab.get_by_label("to", exact=True).fill("22.5")
    tab.get_by_role("button", name="Add").click()
    expect(tab.get_by_label(re.compile("talk, 0:20"))).to_be_visible()
    tab.get_by_role("button", name=re.compile("^2")).click()
    expect(tab.locator(".pool b").last).to_have_text("2")
    tab.get_by_role("button", name="None of the rest").click()
    expect(tab.get_by_role("heading", name="something new")).to_be_visible()
    grades = [one.grade for one in kept(page, "something green")]
    assert sorted(grades)[-2:] == [2, 4]
    assert set(sorted(grades)[:-2]) == {0}
    by_hand = next(one for one in kept(page, "something green") if one.grade == 2)
    assert (by_hand.span, by_hand.shown, by_hand.rank) == ((20.0, 22.5), None, 0)
    # It goes on where it was.
    tab.reload()
    expect(tab.get_by_role("heading", name="something new")).to_be_visible()
    # On a phone the player leaves the query in sight: a click would land on it.
    tab.set_viewport_size({"width": 390, "height": 780})
    expect(tab.get_by_role("complementary")).to_be_visible()
    tab.get_by_role("heading", name="something new").click(trial=True)
    tab.get_by_role("button", name="None here").click()
    expect(tab.get_by_role("heading", name="All judged")).to_be_visible()
    done = CliRunner().invoke(export, [str(page.collection), str(tmp_path / "out"), "--json"])
    assert sum(queries for queries, _ in json.loads(done.output).values()) >= 1


def test_the_command_line_grades_lists_and_forgets(page: Page) -> None:
    def run(*words: str) -> str:
        done = CliRunner().invoke(feedback, [*words, "--address", page.coordinator])
        assert done.exit_code == 0, done.output
        return done.output

    (made,) = [json.loads(run("a graded one", "talk@0:03-5.5", "--grade", "3", "--json"))]
    assert (made["video"], made["span"], made["grade"]) == ("talk", [3.0, 5.5], 3)
    assert [json.loads(run("a graded one", "--list", "--json"))["id"]] == [made["id"]]
    assert "a graded one" in run("--list")
    assert run("--delete", made["id"]) == "1 forgotten\n"
    assert run("a graded one", "--list", "--json") == ""
    made = json.loads(run("a graded one", "talk@3-5.5", "--grade", "3", "--json"))
    assert json.loads(run("--delete", made["id"], "--json")) == {"forgotten": 1}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["a ball", "talk@5-3", "--grade", "1"], "write 0 <= start < end <= 24"),
        (["a ball", "nobody@1-2", "--grade", "1"], "'nobody' is not in this version"),
        (["a ball", "talk", "--grade", "1"], "write VIDEO@START-END"),
        (["a ball", "talk@1-2"], "give a query, a moment and a grade"),
        (["--list", "--delete", "x"], "give one of --list"),
        (["--delete", "x"], "there is no judgement 'x'"),
    ],
)
def test_what_is_no_judgement_is_told(page: Page, words: list[str], said: str) -> None:
    done = CliRunner().invoke(feedback, [*words, "--address", page.coordinator])
    assert done.exit_code == 2
    assert said in done.output


@pytest.mark.parametrize(
    ("path", "body", "kind", "said"),
    [
        ("/api/judgements", b'{"judgements": [{}]}', "application/json", "has query, video, span"),
        ("/api/judgements", b'{"judgements": []}', "text/plain", "send application/json"),
        ("/api/judgements", b"[" * 9, "application/json", "no JSON object"),
        ("/api/sets", b'{"queries": ["\\ud800"]}', "application/json", "of UTF-8 text"),
        ("/api/judgements", UNGRADED, "application/json", "end] and grade"),
        ("/api/judgements", b" " * (3 << 20), "application/json", "send less"),
        ("/api/sets", b'{"queries": [" "]}', "application/json", "give 1 to 5000"),
        ("/api/sets", b'{"queries": [7]}', "application/json", "no list of texts"),
    ],
)
def test_what_other_pages_and_scripts_send_is_refused(
    page: Page, path: str, body: bytes, kind: str, said: str
) -> None:
    request = urllib.request.Request(page.address + path, body, {"content-type": kind})
    with pytest.raises(urllib.error.HTTPError) as refused, urllib.request.urlopen(request, timeout=30):
        pass
    with refused.value as answer:
        assert answer.code == 400
        assert said in json.loads(answer.read())["error"]["message"]


def test_sets_of_queries_are_read_from_text_and_lines_of_json(tmp_path: Path) -> None:
    (tmp_path / "q.jsonl").write_text('{"query": "a"}\n{"query": "b  c", "qid": 1}\n{"query": "a"}\n')
    assert queries_of(tmp_path / "q.jsonl") == ["a", "b c"]
    (tmp_path / "q.txt").write_text("\ufeffa  ball\r\n\r\nb\n")
    assert queries_of(tmp_path / "q.txt") == ["a ball", "b"]
    (tmp_path / "wrong.jsonl").write_text('{"text": "a"}\n')
    done = CliRunner().invoke(command, ["127.0.0.1:1", str(tmp_path / "wrong.jsonl")])
    assert "line 1 has no query" in str(done.exception)
    done = CliRunner().invoke(command, ["127.0.0.1:1", str(tmp_path / "q.jsonl")])
    assert "start one with `spr serve`" in str(done.exception)
