"""Collecting the answers of a service, over gRPC; here the service reads its answers from a list."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from engine import wire
from engine.errors import InvalidInput, Unavailable
from engine.proposals import ProposalRule
from spr.v1 import search_service_pb2 as search_pb
from spr.v1 import search_service_pb2_grpc, types_pb2
from spr_cli.eval import command
from spr_client import Options
from tests.engine.oracle import Server
from trainer.collection.annotations import JudgedMoment, JudgedQuery, save_queries
from trainer.evaluation.runfile import Predicted, load_run, save_run, truth_card
from trainer.evaluation.service import _options, collect

QUERIES = [
    JudgedQuery(1, "a ball", (JudgedMoment(1, "v3", 14, 18, 900.0, "a ball", 1.0, 4.0),), "precise"),
    JudgedQuery(2, "a refused query", (JudgedMoment(2, "v3", 14, 18, 900.0, "a ball", 1.0, 4.0),), "precise"),
]


class Answers(search_service_pb2_grpc.SearchServiceServicer):
    """Gives 130 moments in pages; the ranker has turned the list of proposals around."""

    total = 130
    asked = 0

    def Search(self, request: search_pb.SearchRequest, context: Any) -> search_pb.SearchResponse:
        Answers.asked += 1
        if "refused" in request.text:
            raise InvalidInput("this query is refused")
        first = int(request.page_token or 0)
        last = min(first + request.page_size, self.total)
        response = search_pb.SearchResponse(moments=[self._moment(rank) for rank in range(first, last)])
        response.next_page_token = str(last) if last < self.total else ""
        response.versions.ranker_model = "similarity-curve"
        return response

    def _moment(self, row: int) -> types_pb2.Moment:
        proposal = self.total - row
        span = np.array([4.0 * proposal, 4.0 * proposal + 4])
        return types_pb2.Moment(
            video_id=f"v{proposal}",
            rank=row + 1,
            score=float(-row),
            # The last hundred were not ranked.
            confidence=0.5 if row < 30 else None,
            span=wire.span_to_pb(span + 2.0),
            provenance=types_pb2.MomentProvenance(
                proposal_span=wire.span_to_pb(span), proposal_rank=proposal, refined=True
            ),
        )


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    server = Server(
        lambda server: search_service_pb2_grpc.add_SearchServiceServicer_to_server(Answers(), server)  # type: ignore[abstract]
    )
    yield server.address
    server.stop()


def test_both_stages_come_from_one_search(address: str) -> None:
    done: list[int] = []
    collected = collect(address, QUERIES[:1], on_done=done.append)
    answer = collected.answers[1]
    assert done == [1]
    assert len(answer.coarse) == len(answer.refined) == 130
    assert answer.refined[0] == Predicted("v130", 522.0, 526.0, 0.0, 0.5)
    assert [row.confidence for row in answer.refined[29:31]] == [0.5, None]
    assert answer.coarse[0] == Predicted("v1", 4.0, 8.0, None)
    assert answer.coarse[129] == Predicted("v130", 520.0, 524.0, None)
    assert collected.facts()["versions"]["ranker_model"] == "similarity-curve"


def test_a_rule_for_proposals_is_asked_for() -> None:
    assert _options(50, ProposalRule.parse("constant:2")) == Options(segment_top_k=50, constant_gap=2)
    assert _options(None, ProposalRule.parse("adaptive:0.5")) == Options(adaptive_gap=0.5)
    assert _options(None, ProposalRule.parse("adjacent")) == Options(adjacent=True)
    assert _options(None, ProposalRule.parse("peaks:0")) == Options(peaks=0)
    assert _options(None, None) == Options()
    assert _options(None, None, ("said",)) == Options(channels=("said",))


def test_a_failed_query_is_noted_and_the_rest_go_on(address: str) -> None:
    collected = collect(address, QUERIES)
    assert list(collected.answers) == [1]
    assert collected.failures == {2: "this query is refused"}


def test_where_every_query_fails_there_is_nothing_to_report(address: str) -> None:
    with pytest.raises(Unavailable, match=r"Every query failed .* this query is refused"):
        collect(address, QUERIES[1:])


def test_where_nothing_listens() -> None:
    with pytest.raises(Unavailable) as caught:
        collect("127.0.0.1:9", QUERIES)
    said = str(caught.value)
    assert said.startswith("nothing answers at 127.0.0.1:9 (")
    assert (
        "; start a service with `spr serve TOPOLOGY.toml`, or say where it answers searches with --address"
        in said
    )


def test_what_is_no_address_is_refused() -> None:
    with pytest.raises(InvalidInput, match="write HOST:PORT"):
        collect("dns:///spr", QUERIES)


def test_a_port_without_searches_is_told_from_a_closed_one() -> None:
    server = Server(lambda _: None)
    try:
        with pytest.raises(
            Unavailable, match=r"is not served at this port; .* say where it answers searches"
        ):
            collect(server.address, QUERIES)
    finally:
        server.stop()


def test_the_command_measures_a_service_and_its_run_file(address: str, tmp_path: Path) -> None:
    truth, out, run = tmp_path / "test.json", tmp_path / "report.json", tmp_path / "run.json"
    save_queries(truth, QUERIES)
    arguments = ["--address", address, "--truth", str(truth), "--out", str(out), "--run-out", str(run)]
    result = CliRunner().invoke(command, [*arguments, "--plot", str(tmp_path / "report.png")])
    # The refused query counts as zero, and the exit code tells.
    assert result.exit_code == 1
    assert "query 2 failed and counts as zero" in result.stderr
    assert "NDCG@40,IoU>=0.7" in result.stdout
    report = json.loads(out.read_text())
    assert report["failed"] == {"2": "this query is refused"}
    assert 0 < report["coarse"]["NDCG@10,IoU>=0.3"] < 0.5
    assert report["refined"]["NDCG@40,IoU>=0.7"] == 0
    assert (tmp_path / "report.png").is_file()
    assert load_run(run)["coarse"].keys() == {1}
    again = CliRunner().invoke(command, [str(run), str(truth), "--json"])
    assert again.exit_code == 0
    assert json.loads(again.stdout)["coarse"] == report["coarse"]


def test_the_command_wants_one_kind_of_source(tmp_path: Path) -> None:
    result = CliRunner().invoke(command, ["--address", "localhost:1"])
    assert result.exit_code == 2
    assert "RUN.json TRUTH.json" in result.stderr


@pytest.mark.parametrize(
    "words",
    [
        "run.json test.json --out run.json",
        "run.json --truth x/../test.json --html b --run-out b",
        "compare a.json b.json --html b.json",
        "a.json --out test.json",
        "a.json --html corpus_test.json",
        "compare a.json b.json --html test.json",
    ],
)
def test_nothing_that_is_read_or_written_is_written_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("test.json").write_text("[]")
    save_run(Path("a.json"), {}, {"truth": truth_card(Path("test.json"))})
    result = CliRunner().invoke(command, words.split())
    assert result.exit_code == 2
    assert "would be written over" in result.stderr


UNJUDGED = [JudgedQuery(1, "a ball", (JudgedMoment(1, "v3", 14, 18, 900.0, "a ball", 1.0),))]


@pytest.mark.parametrize(
    ("queries", "corpus", "message"),
    [
        ([], {"v3": 900}, "holds no query"),
        (UNJUDGED, {"v3": 900}, "has moments without relevance"),
        (QUERIES, {"v3": -1}, "duration of 'v3' is -1"),
    ],
)
def test_what_cannot_be_measured_is_told_before_a_query_is_asked(
    address: str, tmp_path: Path, queries: list[JudgedQuery], corpus: dict[str, float], message: str
) -> None:
    truth = tmp_path / "test.json"
    save_queries(truth, queries)
    (tmp_path / "corpus_test.json").write_text(json.dumps(corpus))
    before = Answers.asked
    result = CliRunner().invoke(command, ["--address", address, "--truth", str(truth)])
    assert isinstance(result.exception, InvalidInput)
    assert message in str(result.exception)
    assert Answers.asked == before


def test_answers_are_kept_before_they_are_measured(address: str, tmp_path: Path) -> None:
    truth, run = tmp_path / "test.json", tmp_path / "run.json"
    save_queries(truth, QUERIES)
    (tmp_path / "seg_anno").mkdir()
    (tmp_path / "seg_anno" / "test_seg_4s.json").write_text("no JSON")
    result = CliRunner().invoke(command, ["--address", address, "--truth", str(truth), "--run-out", str(run)])
    assert isinstance(result.exception, InvalidInput)
    assert load_run(run)["coarse"].keys() == {1}
