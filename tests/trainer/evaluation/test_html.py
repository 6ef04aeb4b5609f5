"""Pages of `spr eval --html`: what they say is what was measured, they need nothing beside them."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner, Result

from spr_cli.eval import command
from tests.trainer.evaluation.test_compare import BETTER, FIRST, QUERIES, WORSE
from trainer.collection.annotations import JudgedQuery, save_queries
from trainer.evaluation.runfile import Predicted, save_run, truth_card

EVIL = '<script>alert("x")</script> & \'"'


class Cells(HTMLParser):
    """The rows of the tables. tags: every element with its attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self._open = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._open = tag in ("td", "th") or (self._open and tag == "button")
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_data(self, data: str) -> None:
        if self._open:
            self.rows[-1][-1] += data.strip()

    def handle_endtag(self, tag: str) -> None:
        self._open = self._open and tag not in ("td", "th")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    evil = JudgedQuery(41, EVIL, QUERIES[0].moments, EVIL)
    save_queries(folder / "truth.json", [*QUERIES, evil])
    card = {"truth": truth_card(folder / "truth.json"), "versions": {"version": EVIL}}
    for name, run in (("a", WORSE), ("b", BETTER)):
        wrong = {41: [Predicted(EVIL, 1.0, 2.0)]}
        save_run(folder / f"{name}.json", {stage: {**run[stage], **wrong} for stage in run}, card)
    return folder


def invoke(*words: object) -> Result:
    done = CliRunner().invoke(command, [*map(str, words), "--json"])
    assert done.exit_code == 0, done.output
    return done


def read(path: Path) -> tuple[str, Cells]:
    """Return a page; it brings all it needs, and no text of others became part of it."""
    text = path.read_text()
    page = Cells(text)
    assert not re.search(r"https?://|\bsrc=|<link|@import|url\(", text)
    assert [tag for tag, _ in page.tags].count("script") == 1
    assert EVIL not in text
    for drawing in re.findall(r"<svg.*?</svg>", text, re.DOTALL):
        ElementTree.fromstring(drawing)
    return text, page


def test_a_report_has_all_measures_all_queries_and_the_worst(files: Path) -> None:
    page = files / "report.html"
    value = json.loads(invoke(files / "b.json", "--html", page, "--bootstrap", 50).output)
    text, cells = read(page)
    low, high = value["intervals"]["refined"][FIRST]
    assert [FIRST, f"{value['refined'][FIRST]:.3f}", f"{low:.3f} .. {high:.3f}"] in [
        row[:3] for row in cells.rows
    ]
    listed = [row for row in cells.rows if len(row) > 4 and row[1].isdigit()]
    assert len(listed) == len(QUERIES) + 1
    assert [EVIL, "41", EVIL] in [row[:3] for row in listed]
    assert len(re.findall(r'<section class="query">', text)) == 12
    # What a person sees of a query that found nothing: where the truth lies, and what was found instead.
    first = text.split('<section class="query">')[1]
    assert "relevance 4: " in first
    assert "rank 1: " in first
    # The same once more: seeded.
    invoke(files / "b.json", "--html", files / "again.html", "--bootstrap", 50)
    assert (files / "again.html").read_text() == text


def test_bars_lie_where_the_moments_do(files: Path) -> None:
    save_run(
        files / "c.json",
        {"refined": {0: [Predicted("v0", 30.0, 45.0), Predicted("v0", 100.0, 120.0)]}},
        {"truth": truth_card(files / "truth.json")},
    )
    invoke(files / "c.json", "--limit", 1, "--html", files / "c.html", "--bootstrap", 1)
    text, _ = read(files / "c.html")
    bars = dict(
        re.findall(r'<title>(.*?):.*?</title><rect class="\w+" (x="[\d.]+" y="\d+" width="[\d.]+")', text)
    )
    start = QUERIES[0].moments[0].start
    # The video is 60 s long, and 1000 units wide; what lies behind its end is seen at its end.
    assert bars["relevance 4"] == f'x="{start / 60 * 1000:.1f}" y="2" width="{8 / 60 * 1000:.1f}"'
    assert bars["rank 1"] == 'x="500.0" y="26" width="250.0"'
    assert bars["rank 2"] == 'x="1000.0" y="26" width="2.0"'


def test_a_comparison_shows_what_is_won_and_lost(files: Path) -> None:
    page = files / "compared.html"
    done = invoke("compare", files / "a.json", files / "b.json", "--samples", 50, "--html", page)
    row = json.loads(done.output)["measures"][FIRST]
    text, cells = read(page)
    assert [FIRST, f"{row['a']:.3f}", f"{row['b']:.3f}", f"{row['difference']:+.3f}"] in [
        found[:4] for found in cells.rows
    ]
    lost, won = text.split('id="won"')
    assert 0 < lost.count('class="query"') <= won.count('class="query"') == 12
    assert ">A</text>" in won
    assert ">B</text>" in won
