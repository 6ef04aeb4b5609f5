"""Training on the samples that came with the data."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from engine.errors import InvalidInput, Mismatch, NotFound
from tests.trainer.formats import tvr
from tests.trainer.ranker.world import make_collection
from trainer.collection.annotations import load_queries
from trainer.formats.layout import Layout
from trainer.formats.samples import load_samples
from trainer.formats.tvr_export import export_tvr_ranking
from trainer.formats.tvr_import import import_tvr_ranking
from trainer.ranker.losses import LossConfig
from trainer.ranker.prepare import Prepared, prepare
from trainer.ranker.settings import RankerSettings
from trainer.ranker.training import train_ranker
from workers.ranker.model.relo import ReloConfig
from workers.ranker.model.windows import WindowConfig
from workers.ranker.stores.checkpoint import read_card

KEPT = Path("annotations/coarse_pred/train_top40_pos_neg_samples_context_8.json")
SETTINGS = RankerSettings(
    model=ReloConfig(hidden=16, heads=2),
    steps=3,
    batch=4,
    samples="kept",
    loss=LossConfig(variant="reloclnet_rvmr_hard_neg"),
)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("samples")
    made = make_collection(folder / "c", train=8, val=3)
    # Every split has its own query ids.
    path = made / "annotations" / "val.json"
    entries = [{**entry, "query_id": entry["query_id"] + 1000} for entry in json.loads(path.read_text())]
    path.write_text(json.dumps(entries))
    export_tvr_ranking(made, folder / "out", device="cpu")
    return folder / "out"


@pytest.fixture
def collection(exported: Path, tmp_path: Path) -> Path:
    """Return an imported export, with the samples of the export."""
    import_tvr_ranking(Layout(exported, arch="CLIP-other", step=1.0), tmp_path / "c")
    return tmp_path / "c"


def prepared(collection: Path, **changes: Any) -> Prepared:
    return prepare(collection, replace(SETTINGS, **changes), None, None, torch.device("cpu"))


def test_pairs_are_trained_with_the_proposals_that_name_them(collection: Path) -> None:
    samples = json.loads((collection / KEPT).read_text())
    queries = load_queries(collection / "annotations" / "train.json")
    data = prepared(collection).train
    assert data.wrong is not None
    names = sorted({m.video for q in queries for m in q.moments} | load_samples(collection / KEPT).videos)
    found = 0
    for row in range(len(data.pairs)):
        judged = queries[data.pairs.query[row]]
        own = slice(*data.mined.offsets[row : row + 2])
        rows = zip(data.mined.videos[own], data.mined.spans[own].tolist(), strict=True)
        wanted = samples["pos"][str(judged.query_id)].get(str(data.pairs.pair[row]), [])
        # Of these samples all show their moment: none has to be left out.
        assert [(names[video], span) for video, span in rows] == [
            (moment["video_name"], moment["timestamp"]) for moment in wanted
        ]
        found += len(wanted)
    assert found > 50
    for row, judged in enumerate(queries):
        own = slice(*data.wrong.offsets[row : row + 2])
        wanted = samples["neg"][str(judged.query_id)]
        assert [names[video] for video in data.wrong.videos[own]] == [m["video_name"] for m in wanted]
        assert data.wrong.spans[own].tolist() == [moment["timestamp"] for moment in wanted]


def test_they_are_not_those_that_retrieval_finds_when_others_are_given(collection: Path) -> None:
    samples = json.loads((collection / KEPT).read_text())
    queries = load_queries(collection / "annotations" / "train.json")
    moment = next(m for m in queries[0].moments if m.start > 8 and m.pair_id != 0)
    far = {"video_name": moment.video, "timestamp": [moment.start + 200, moment.end + 204]}
    near = {"video_name": moment.video, "timestamp": [moment.start, moment.end + 4.5]}
    samples["pos"] = {
        name: {str(moment.pair_id): [far, near]} if name == str(queries[0].query_id) else {}
        for name in samples["pos"]
    }
    (collection / KEPT).write_text(json.dumps(samples))
    made = prepared(collection)
    # A sample beside its moment has no label, and is left out; a pair without one is widened at random.
    assert made.train.mined.spans.tolist() == [near["timestamp"]]
    (owner,) = made.train.mined.owners
    assert (made.train.pairs.query[owner], made.train.pairs.pair[owner]) == (0, moment.pair_id)
    mined = prepared(collection, samples="mined")
    assert len(mined.train.mined.spans) > 50
    assert mined.digest != made.digest


def test_a_ranker_is_trained_on_them(collection: Path) -> None:
    trained = train_ranker(collection, SETTINGS, device="cpu")
    card = read_card(trained.directory)
    assert card.facts["settings"]["samples"] == "kept"
    samples = load_samples(collection / KEPT)
    assert trained.mined == pytest.approx(
        np.mean([
            moment.pair_id in samples.positives[query.query_id]
            for query in load_queries(collection / "annotations" / "train.json")
            for moment in query.moments
        ]),
        abs=0.05,
    )  # fmt: skip


def test_samples_that_are_not_those_of_the_queries_are_refused(collection: Path) -> None:
    samples = json.loads((collection / KEPT).read_text())
    queries = load_queries(collection / "annotations" / "train.json")
    lost = {**samples, "pos": {name: samples["pos"][name] for name in list(samples["pos"])[1:]}}
    (collection / KEPT).write_text(json.dumps(lost))
    with pytest.raises(Mismatch, match=f"lack query {queries[0].query_id}"):
        prepared(collection)
    moment = queries[0].moments[0]
    another = next(m.video for q in queries for m in q.moments if m.video != moment.video)
    entry = {str(moment.pair_id): [{"video_name": another, "timestamp": [0, 8]}]}
    wrong = {**samples, "pos": {**samples["pos"], str(queries[0].query_id): entry}}
    (collection / KEPT).write_text(json.dumps(wrong))
    with pytest.raises(Mismatch, match=f"pair {moment.pair_id} that are not of its video"):
        prepared(collection)
    shapes: list[dict[str, Any]] = [{"pos": {}}, {"pos": {"a": {}}, "neg": {}}, {"pos": [], "neg": {}}]
    for broken in shapes:
        (collection / KEPT).write_text(json.dumps(broken))
        with pytest.raises(InvalidInput, match="holds no training samples"):
            prepared(collection)


def test_samples_that_are_not_there_are_named(collection: Path) -> None:
    with pytest.raises(NotFound, match=r"context_4\.json does not exist .*context_8\.json.*samples=mined"):
        prepared(collection, model=replace(SETTINGS.model, window=WindowConfig(context=4.0)))
    (collection / KEPT).unlink()
    with pytest.raises(NotFound, match="samples there: none"):
        prepared(collection)


def test_published_files_are_read(tmp_path: Path) -> None:
    data = tvr.write_layout(tmp_path / "data", optional=True)
    samples = load_samples(data / tvr.LAYOUT["coarse"] / KEPT.name)
    moment = load_queries(data / tvr.LAYOUT["annotations"] / "train_top40.json")[3].moments[0]
    assert samples.positives[3] == {0: [(moment.video, 0.0, 8.0)]}
    assert samples.negatives[3] == [("zoo", 0.0, 8.0)]
    assert {"zoo", moment.video} <= samples.videos <= tvr.VIDEOS.keys()
