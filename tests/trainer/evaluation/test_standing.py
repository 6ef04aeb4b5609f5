"""Judged queries by every video alone, as standing searches judge."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from engine.errors import InvalidInput
from spr_cli.eval_standing import command
from tests.workers.ranker.factories import TEXTS, tiny_collection
from trainer.collection.annotations import JudgedMoment, JudgedQuery, save_queries
from trainer.evaluation.offline import Offline
from trainer.evaluation.standing import reached
from workers.ranker.scoring.fusion import Fusion, ScoreWeights

# The confidence follows the retrieval score alone.
FUSION = Fusion(ScoreWeights(coarse=1.0), ScoreWeights(bias=-2.0, coarse=4.0), alone=((0.5, 0.1),))


def asked(video: str, start: float = 12.0, end: float = 20.0) -> list[JudgedQuery]:
    return [JudgedQuery(1, TEXTS[0], (JudgedMoment(1, video, start, end, 40.0, TEXTS[0], 1.0, 4.0),))]


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_collection(tmp_path_factory.mktemp("standing") / "c", trained=True, fusion=FUSION).directory


def test_a_video_alone_is_answered_as_a_collection_of_it(collection: Path) -> None:
    version = Offline.open(collection, device="cpu")
    for video, moments in enumerate(version.alone(TEXTS[0])):
        own = version.videos == video
        only = replace(
            version,
            vectors=version.vectors[own],
            videos=version.videos[own],
            segments=version.segments[own],
        )
        oracle = only.answer(TEXTS[0])["refined"]
        assert moments.spans.tolist() == [[row.start, row.end] for row in oracle]
        assert moments.confidences is not None
        assert moments.confidences.tolist() == pytest.approx([row.confidence for row in oracle], abs=1e-5)
        assert {row.video for row in oracle} == {version.catalogue.ids[video]}


def test_only_what_is_promised_is_measured(collection: Path, tmp_path: Path) -> None:
    best, *others = Offline.open(collection, device="cpu").alone(TEXTS[0])
    save_queries(truth := tmp_path / "truth.json", asked("a", *best.spans[0].tolist()))
    words = ["--collection", str(collection), "--truth", str(truth), "--device", "cpu"]
    result = CliRunner().invoke(command, [*words, "--precision", "0.3", "--precision", "0.9", "--json"])
    assert result.exit_code == 0, result.output
    kept, refused = json.loads(result.stdout)
    assert kept["threshold"] == 0.3
    assert 0 < kept["matches"] <= sum(len(one) for one in (best, *others))
    # One right moment, in one video.
    assert (kept["precision"], kept["found"]) == (pytest.approx(1 / kept["matches"]), 1.0)
    assert 0 < kept["low"] < kept["precision"]
    nothing = dict.fromkeys(("threshold", "precision", "low", "found"))
    assert refused == nothing | {"asked": 0.9, "matches": 0}
    told = CliRunner().invoke(command, words)
    assert "not promised by this ranker: 0.7, 0.9" in told.output


def test_a_version_of_another_split_is_refused(collection: Path) -> None:
    with pytest.raises(InvalidInput, match="holds none of the 1 videos"):
        reached(Offline.open(collection, device="cpu"), asked("elsewhere"), [0.5])
