"""What people judged, out of the collection's file, trains a ranker that answers other queries better."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from engine.corpus import open_corpus
from engine.errors import InvalidInput, NotFound
from spr_client.feedback import Judgement, judgement_to_pb
from tests.trainer.ranker.test_training import SETTINGS
from tests.trainer.ranker.world import ENCODER, make_collection
from trainer.collection.annotations import JudgedQuery, load_corpus, load_queries, save_queries
from trainer.collection.places import models_directory
from trainer.collection.queries import POOLED, TOKENS, QueryFeatures, text_key
from trainer.formats.feedback import export_feedback, split_of
from trainer.generation.build import BuildConfig, build
from trainer.library.judgements import Judgements
from trainer.ranker.prepare import prepare
from trainer.ranker.settings import RankerSettings
from trainer.ranker.training import train_ranker
from workers.feature_store.store import FeatureStore
from workers.ranker.scoring.relo_ranker import KIND, ReloRanker

TRAINING = replace(SETTINGS, steps=40, feedback=True)
QUERIES = 100
WORDINGS = ("please", "now", "again")
MEASURE = "NDCG@10,IoU>=0.7"


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A served collection whose owner has judged 100 queries; what others ask, in words
    of their own and of videos that nobody judged, lies in `others`.
    """
    home = make_collection(tmp_path_factory.mktemp("judged") / "collection", train=14, val=5)
    build(BuildConfig(collection=home, shards=1, projector="none", ranker="none", device="cpu"))
    (home / "annotations").rename(home.parent / "others")
    queries = load_queries(home.parent / "others" / "train.json")
    np.random.default_rng(1).shuffle(queries)
    judged = queries[: -(-QUERIES // len(WORDINGS))]
    judge(home, _phrased(home, judged)[:QUERIES])
    return home


def _phrased(home: Path, queries: list[JudgedQuery]) -> list[JudgedQuery]:
    """Return the queries in three wordings each, whose features lie a little apart."""
    rng, known = np.random.default_rng(5), QueryFeatures(home / "queries" / ENCODER)
    made = []
    with FeatureStore.open(home / "queries" / ENCODER, "a") as store:
        for query in queries:
            for wording in WORDINGS:
                text = f"{query.query} {wording}"
                pooled, tokens = known.pooled([query.query]), known.tokens(query.query)
                noisy = np.asarray(tokens + 0.1 * rng.normal(size=tokens.shape), np.float32)
                arrays = {POOLED: pooled, TOKENS: noisy}
                store.append(text_key(text), arrays, info={"text": text})
                made.append(replace(query, query=text))
    return made


def judge(home: Path, queries: list[JudgedQuery]) -> None:
    """Grade each query's moments as a person would: exactly that, or hardly."""
    catalogue = open_corpus(home).catalogue
    durations = dict(zip(catalogue.ids, catalogue.durations.tolist(), strict=True))
    kept = Judgements(home)
    for query in queries:
        moments = sorted(query.moments, key=lambda one: -one.similarity)[:8]
        kept.record(
            [
                judgement_to_pb(
                    Judgement(
                        query=query.query,
                        video=one.video,
                        span=(one.start, min(one.end, durations[one.video])),
                        grade=4 if one.similarity == 1 else 1,
                    )
                )
                for one in moments
            ]
        )
    kept.close()


def measured(home: Path, ranker: Path | None) -> float:
    """Return NDCG on the queries of others, in videos that nobody judged; before ranking for None."""
    other = home.parent / f"measured-{ranker.name if ranker else 'coarse'}"
    shutil.copytree(home, other)
    shutil.copytree(home.parent / "others", other / "annotations")
    cpu = torch.device("cpu")
    validation = prepare(other, replace(TRAINING, feedback=False), None, None, cpu).validation
    if ranker is None:
        return validation.coarse()[MEASURE]
    found = ReloRanker.open(ranker)
    return validation.measure(validation.judge(found.model, found.decode, cpu), found.decode)[MEASURE]


@pytest.mark.nightly
def test_a_hundred_judged_queries_find_more_of_what_others_ask(collection: Path) -> None:
    before = measured(collection, None)
    report = train_ranker(collection, replace(TRAINING, steps=100, score="weighed"), device="cpu")
    after = measured(collection, report.directory)
    print(f"{MEASURE} on what others ask: {before:.3f} before, {after:.3f} after")
    assert after > 1.1 * before


def test_the_current_ranker_is_tuned_and_nothing_worse_is_kept(collection: Path, tmp_path: Path) -> None:
    home = shutil.copytree(collection, tmp_path / "collection")
    shutil.rmtree(models_directory(home, KIND), ignore_errors=True)
    shutil.copytree(collection.parent / "others", home / "annotations")
    few = load_queries(home / "annotations" / "train.json")[:12]
    save_queries(home / "annotations" / "train.json", few)
    weak = train_ranker(home, replace(SETTINGS, steps=4, batch=8), device="cpu")
    shutil.rmtree(home / "annotations")
    tuned = train_ranker(home, replace(TRAINING, steps=8), device="cpu")
    # Slower than from scratch, and judged by the queries that people judged.
    log = (tuned.directory / "train" / "metrics.jsonl").read_text()
    assert '"step": 0' in log
    assert tuned.pairs > weak.pairs
    torch_weights = [ReloRanker.open(one).model.state_dict() for one in (weak.directory, tuned.directory)]
    change = max(
        float((a - b).abs().max()) for a, b in zip(*(w.values() for w in torch_weights), strict=True)
    )
    assert 0 < change < 0.5


def test_judged_queries_stand_beside_annotations_by_their_weight(collection: Path, tmp_path: Path) -> None:
    home = shutil.copytree(collection, tmp_path / "collection")
    shutil.copytree(collection.parent / "others", home / "annotations")
    alone, both = (_pairs(home, replace(TRAINING, feedback=on)) for on in (False, True))
    thrice = _pairs(home, replace(TRAINING, feedback_weight=6))
    assert thrice - alone == 2 * (both - alone) > 0


def _pairs(home: Path, settings: RankerSettings) -> int:
    return len(prepare(home, settings, None, None, torch.device("cpu")).train.pairs)


def test_the_export_is_what_training_reads(collection: Path, tmp_path: Path) -> None:
    counts = export_feedback(collection, tmp_path / "out")
    assert sum(queries for queries, _ in counts.values()) == QUERIES
    assert all(queries > 5 for queries, _ in counts.values())
    durations = dict(zip(open_corpus(collection).catalogue.ids, range(99), strict=False))
    for split in ("train", "val", "test"):
        found = load_queries(tmp_path / "out" / f"{split}.json")
        assert all(split_of(query.query) == split for query in found)
        assert load_corpus(tmp_path / "out" / f"corpus_{split}.json").keys() == durations.keys()
        graded = {moment.relevance for query in found for moment in query.moments}
        assert graded == ({None} if split == "train" else {1.0, 4.0})


def test_what_is_missing_is_told(collection: Path, tmp_path: Path) -> None:
    home = shutil.copytree(collection, tmp_path / "collection")
    (home / "feedback.sqlite").unlink()
    with pytest.raises(NotFound, match="no judgements: grade moments"):
        train_ranker(home, TRAINING, device="cpu")
    queries = load_queries(collection.parent / "others" / "train.json")
    judge(home, [next(query for query in queries if split_of(query.query) == "train")])
    with pytest.raises(InvalidInput, match="none to choose a model by"):
        train_ranker(home, TRAINING, device="cpu")
