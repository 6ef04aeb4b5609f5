"""A ranker's score is fitted with what texts say, where videos have texts."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
import torch

from engine.texts import LISTS, Line
from engine.types import Proposals
from tests.trainer.ranker.test_training import SETTINGS
from tests.trainer.ranker.world import ENCODER, make_collection
from trainer.collection.annotations import load_queries
from trainer.ingest.texts import KEY, Texts, write
from trainer.ranker.fitted_lists import fit_lists, shown
from trainer.ranker.prepare import Prepared, prepare
from workers.feature_store.store import FeatureStore
from workers.ranker.model.local import make_model

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """What a training reads of a collection in which every event of val is named by what is said."""
    collection = make_collection(tmp_path_factory.mktemp("told") / "c", train=14, val=5)
    lines: dict[str, list[Line]] = {}
    for query in load_queries(collection / "annotations" / "val.json"):
        for moment in query.moments:
            lines.setdefault(moment.video, []).append(Line(moment.start, moment.end, moment.caption))
    with FeatureStore.open(collection / "features" / ENCODER, "a") as store:
        for video, own in lines.items():
            record = store.record(video)
            said = tuple(sorted(set(own), key=lambda line: line.start))
            info = {**record.info, KEY: write(collection, Texts(said=said))}
            store.revise(video, uri=record.uri, info=info)
    return prepare(collection, SETTINGS, "none", None, CPU)


def test_the_score_is_fitted_with_what_is_said(told: Prepared) -> None:
    validation = told.validation
    torch.manual_seed(0)
    answers = validation.judge(make_model(told.model).eval(), SETTINGS.decode, CPU)
    assert all(answer.columns.shape[1] == 7 + len(LISTS) for answer in answers)
    fusion = validation.fused(answers, SETTINGS.decode, 0.5).fusion
    assert fusion is not None
    assert fusion.score.said_words > 0
    # Of what is written val says nothing: it is drawn to what is said.
    assert fusion.score.written_words == pytest.approx(fusion.score.said_words, rel=0.2)
    assert fusion.score.said_meaning == 0
    assert set(fusion.lists) >= {"seen", "said.words"}
    assert fusion.lists == validation.lists
    # An untrained model alone is no better than chance; the words say where to look.
    silent = [replace(answer, columns=answer.columns[:, :7]) for answer in answers]
    heard, unheard = (validation.crossed(one, SETTINGS.decode) for one in (answers, silent))
    assert heard["NDCG@10,IoU>=0.3"] > unheard["NDCG@10,IoU>=0.3"]


def test_a_list_that_finds_what_is_sought_gains_weight_and_one_of_noise_loses_it(told: Prepared) -> None:
    validation = told.validation
    good = validation.proposals
    rng = np.random.default_rng(0)
    truths = [validation.truths[row] for row in range(len(good))]

    def propose(row: int, weights: Mapping[str, float]) -> Proposals:
        shares = weights["said.words"] - weights["said.meaning"]
        order = np.argsort(rng.random(len(good[row]))) if shares <= 0 else np.arange(len(good[row]))
        return good[row].of(order)

    fitted = fit_lists(["said.words", "said.meaning"], truths, propose, 8.0)
    assert fitted["said.words"] > fitted["said.meaning"]
    assert fitted["seen"] == fitted["written.words"] == 1.0


def test_what_is_shown_first_counts_most(told: Prepared) -> None:
    proposals = told.validation.proposals[0]
    truth = told.validation.truths[0]
    at = np.flatnonzero(proposals.videos == truth.videos[truth.relevances.argmax()])[:1]
    rest = np.setdiff1d(np.arange(len(proposals)), at)
    first, last = (proposals.of(np.concatenate(order)) for order in ((at, rest), (rest, at)))
    assert shown(first, truth, 8.0) >= shown(last, truth, 8.0)
    assert shown(proposals.of(slice(0)), truth, 8.0) == 0.0
