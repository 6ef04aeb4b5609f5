"""A version searched in this process, exhaustively."""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from engine import versions
from engine.errors import InvalidInput
from engine.proposals import ProposalRule
from engine.queries import SearchOptions
from engine.version_lock import locked_for_removal
from spr_cli.eval import command
from tests import numeric
from tests.workers.ranker.factories import TEXTS, tiny_collection
from trainer.collection.annotations import JudgedMoment, JudgedQuery, save_queries
from trainer.evaluation import offline
from trainer.evaluation.evaluation import EvalConfig, run_evaluation
from trainer.evaluation.offline import Offline, search_offline
from workers.ranker.scoring.fusion import Fusion, ScoreWeights
from workers.ranker.scoring.relo_ranker import ReloRanker


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("offline") / "collection", trained=False)


def made(folder: Path, trained: bool) -> Path:
    return tiny_collection(folder, trained=trained).directory


def test_every_stage_answers(collection: Path) -> None:
    version = Offline.open(collection, device="cpu")
    assert len(version.vectors) == 10 + 7 + 1
    numeric.close(np.linalg.norm(version.vectors, axis=1), 1.0)
    answer = version.answer(TEXTS[0], depth=3)
    assert {(row.video, row.start) for row in answer["retrieval"][:2]} == {("a", 12.0), ("a", 16.0)}
    assert answer["coarse"][0][:3] == ("a", 12.0, 24.0)
    published = version.answer(TEXTS[0], 3, ProposalRule())
    assert published["coarse"][0][:3] == ("a", 12.0, 20.0)
    assert answer["refined"][0][:3] == ("a", 12.0, 20.0)
    scores = [row.score for row in answer["retrieval"] if row.score is not None]
    assert scores == sorted(scores, reverse=True)


def test_only_the_chosen_channels_are_searched(collection: Path) -> None:
    everywhere = Offline.open(collection, device="cpu").answer(TEXTS[0])
    assert Offline.open(collection, device="cpu", chosen=("seen",)).answer(TEXTS[0]) == everywhere
    nowhere = Offline.open(collection, device="cpu", chosen=("said", "written")).answer(TEXTS[0])
    assert nowhere == {"retrieval": [], "coarse": [], "refined": []}


def test_what_a_search_would_not_rank_follows_unrefined(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(offline, "DEFAULTS", SearchOptions(proposal_top_k=2))
    version = Offline.open(made(tmp_path / "collection", trained=True), device="cpu")
    ranker = version.models.ranker
    assert isinstance(ranker, ReloRanker)
    fusion = Fusion(ScoreWeights(relevance=1.0), ScoreWeights(relevance=1.0))
    ranker.decode = replace(ranker.decode, fusion=fusion)
    answer = version.answer(TEXTS[0])
    assert [row.confidence is None for row in answer["refined"]][:3] == [False, False, True]
    assert [row[:3] for row in answer["refined"][2:]] == [row[:3] for row in answer["coarse"][2:]]


def test_a_version_of_another_split_is_refused(collection: Path) -> None:
    moment = JudgedMoment(1, "elsewhere", 12.0, 20.0, 40.0, TEXTS[0], 1.0, 4.0)
    version = Offline.open(collection, device="cpu")
    with pytest.raises(InvalidInput, match="holds none of the 1 videos"):
        search_offline(version, [JudgedQuery(1, TEXTS[0], (moment,))])
    # What has no answer asks for no video.
    assert search_offline(version, [JudgedQuery(1, TEXTS[0], ())])["refined"][1]


def test_a_version_is_held_while_it_is_measured(
    collection: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    truth, free = tmp_path / "val.json", list[bool]()
    moment = JudgedMoment(1, "a", 12.0, 20.0, 40.0, TEXTS[0], 1.0, 4.0)
    save_queries(truth, [JudgedQuery(1, TEXTS[0], (moment,))])

    def search(*given: Any) -> Any:
        with locked_for_removal(collection, versions.current(collection)) as now:
            free.append(now)
        return search_offline(*given)

    monkeypatch.setattr(offline, "search_offline", search)
    run_evaluation(EvalConfig(collection=collection, truth=truth, bootstrap=10))
    assert free == [False]
    with locked_for_removal(collection, versions.current(collection)) as now:
        assert now


def test_a_fitted_confidence_comes_with_its_moment(tmp_path: Path) -> None:
    version = Offline.open(made(tmp_path / "collection", trained=True), device="cpu")
    ranker = version.models.ranker
    assert isinstance(ranker, ReloRanker)
    assert {row.confidence for row in version.answer(TEXTS[0])["refined"]} == {None}
    # The confidence follows the retrieval score alone, the order the length of the span.
    fusion = Fusion(ScoreWeights(log_length=1.0), ScoreWeights(bias=-0.5, coarse=2.0), overlap=1.0)
    ranker.decode = replace(ranker.decode, fusion=fusion)
    answer = version.answer(TEXTS[0], depth=6)
    expected = [1 / (1 + math.exp(0.5 - 2.0 * (row.score or 0.0))) for row in answer["coarse"]]
    told = [row.confidence or 0.0 for row in answer["refined"]]
    assert len(set(told)) > 2
    assert sorted(told, reverse=True) == pytest.approx(expected, abs=1e-5)
    for row in answer["refined"]:
        near = [
            sure for sure, coarse in zip(expected, answer["coarse"], strict=True) if coarse.video == row.video
        ]
        assert min(abs(sure - (row.confidence or 0.0)) for sure in near) < 1e-5


def test_the_command_measures_a_collection(collection: Path, tmp_path: Path) -> None:
    truth = tmp_path / "test.json"
    moment = JudgedMoment(1, "a", 12.0, 20.0, 40.0, TEXTS[0], 1.0, 4.0)
    save_queries(truth, [JudgedQuery(1, TEXTS[0], (moment,))])
    result = CliRunner().invoke(command, ["--collection", str(collection), "--truth", str(truth), "--json"])
    assert result.exit_code == 0, result.output
    value = json.loads(result.stdout)
    assert value["coarse"].keys() == value["refined"].keys()
    assert value["retrieval"]["SegmentRecall"] == 1.0
    # Each retrieved segment is half of the moment.
    assert value["retrieval"]["NDCG@10,IoU>=0.5"] == 1.0
    assert value["retrieval"]["NDCG@10,IoU>=0.7"] == 0.0
    assert value["versions"]["ranker_model"] == "similarity-curve"
