"""Where is searched and what found a moment, through the Python client and `spr search`."""

import json
from collections.abc import Iterator

import pytest
from click.testing import CliRunner

from spr_cli import search, search_evidence
from spr_client import Client, Embedding, InvalidInput, Options
from tests.engine.corpus import DIM, MODEL
from tests.engine.oracle import cluster
from tests.engine.running import process
from tests.engine.talking import QUERY, talking


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("spoken")
    with cluster(folder, talking(1)) as workers, process(workers, folder) as ready:
        yield ready["address"]


def test_the_client_tells_what_found_a_moment(address: str) -> None:
    with Client(address) as client:
        moments = client.search(QUERY, options=Options(channels=["written"])).moments
        every = client.search(QUERY).moments
        segments = client.explain(QUERY, every[0].video).segments
        for wrong in (["smelt"], "said"):
            with pytest.raises(InvalidInput, match="channels"):
                client.search(QUERY, options=Options(channels=wrong))
    assert {one.channel for moment in moments for one in moment.found_by} == {"written"}
    best = min((one for one in moments[0].found_by if one.method == "words"), key=lambda one: one.rank)
    assert best.line is not None
    assert best.line.box == pytest.approx((0.1, 0.2, 0.3, 0.4))
    assert {piece.text for piece in best.line.pieces if piece.matched} <= set(QUERY.split())
    assert {one.channel for moment in every for one in moment.found_by} == {"seen", "said", "written"}
    assert {segment.channel for segment in segments} == {"seen", "said", "written"}


def test_the_command_shows_why(address: str) -> None:
    run = CliRunner().invoke
    asked = [QUERY, "--address", address, "--in", "said", "--top", "3"]
    shown = run(search.command, [*asked, "--why"], color=True)
    assert shown.exit_code == 0, shown.output
    assert "said by words, rank 1, at " in shown.output
    assert "\x1b[1mrain\x1b[0m" in shown.output
    assert "seen" not in shown.output
    answer = json.loads(run(search.command, [*asked, "--json"]).output)
    lines = [one["line"] for moment in answer["moments"] for one in moment["found_by"]]
    assert any(piece["matched"] for line in lines for piece in line["pieces"])
    assert run(search.command, [QUERY, "--in", "smelt"]).exit_code == 2
    nowhere = ["--address", address, "--shorter", "0.1"]
    for unheard, told in (([QUERY, "--in", "said"], True), ([f"{QUERY} in:written"], True), ([QUERY], False)):
        assert (search_evidence.NOTHING in run(search.command, [*unheard, *nowhere]).output) == told


def test_where_nothing_is_told_the_command_says_so(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    with Client(address) as client:
        search_evidence.show(client.search(Embedding((1.0,) * DIM, MODEL), page_size=1))
    assert "the version has no texts, or the query no words" in capsys.readouterr().out
