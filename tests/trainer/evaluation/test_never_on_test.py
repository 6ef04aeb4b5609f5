"""Val decides: nothing that trains or fits opens the test split; and val may ask for what does not happen."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engine.errors import InvalidInput
from tests.trainer.projector import tiny as projector_world
from tests.trainer.ranker import world as ranker_world
from tests.trainer.ranker.test_training import SETTINGS as RANKER
from trainer.collection.annotations import JudgedQuery, load_queries, save_queries
from trainer.collection.places import TEST_FILES, annotation_file
from trainer.collection.queries import POOLED, TOKENS, text_key
from trainer.encoder.events import load_events
from trainer.encoder.settings import EncoderSettings
from trainer.encoder.training import choose
from trainer.projector.training import train_projector
from trainer.ranker.training import train_ranker
from workers.feature_store.store import FeatureStore

NOTHING = "what nobody does"
SMALL = {"train": 8, "val": 3}


@pytest.fixture(params=["projector", "ranker"])
def collection(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Path]:
    """A collection whose test annotations cannot be opened and whose val has a query without an answer."""
    world, sizes = (projector_world, {}) if request.param == "projector" else (ranker_world, SMALL)
    path = world.make_collection(tmp_path / "collection", **sizes)
    annotations = path / "annotations"
    for name in TEST_FILES:
        # Opening a directory fails, as whoever tries would.
        (annotations / f"{name}.json").mkdir()
    queries = load_queries(annotations / "val.json")
    save_queries(annotations / "val.json", [JudgedQuery(10**6, NOTHING, (), "no-answer"), *queries])
    with FeatureStore.open(path / "queries" / world.ENCODER, "a") as store:
        known = store.ids()[0]
        shapes = {name: store.rows(known, name).shape for name in (POOLED, TOKENS)}
        rng = np.random.default_rng(0)
        store.append(text_key(NOTHING), {name: rng.standard_normal(shape) for name, shape in shapes.items()})
    return request.param, path


def train(kind: str, path: Path) -> dict[str, float]:
    """Train for two steps; return what the proposals, or mean pooling, reach on val."""
    if kind == "projector":
        settings = replace(projector_world.SETTINGS, steps=2, eval_every=2)
        return train_projector(path, settings, device="cpu").baseline
    return train_ranker(path, replace(RANKER, steps=2, eval_every=2), device="cpu").coarse


def test_training_opens_no_test_annotation(collection: tuple[str, Path]) -> None:
    kind, path = collection
    train(kind, path)
    assert (path / "models" / kind / "CURRENT").is_file()


def test_a_query_without_an_answer_changes_no_validation_figure(collection: tuple[str, Path]) -> None:
    kind, path = collection
    other = shutil.copytree(path, path.with_name("without"))
    kept = [q for q in load_queries(other / "annotations" / "val.json") if q.moments]
    save_queries(other / "annotations" / "val.json", kept)
    found = train(kind, path)
    assert max(found.values()) > 0
    assert found == pytest.approx(train(kind, other))


def test_training_cannot_even_ask_for_the_test_split(tmp_path: Path) -> None:
    for name in TEST_FILES:
        with pytest.raises(InvalidInput, match="val decides"):
            annotation_file(tmp_path, name)


def test_the_encoder_learns_from_train_alone(tmp_path: Path) -> None:
    lines = [
        {"video": f"{split}{n}", "split": split, "start": 1.0, "end": 5.0, "caption": "a ball"}
        for split in ("train", "val", "test")
        for n in range(3)
    ]
    (tmp_path / "captions.jsonl").write_text("\n".join(map(json.dumps, lines)))
    chosen = choose(load_events(tmp_path), EncoderSettings())
    assert {event.split for event in chosen} == {"train"}
