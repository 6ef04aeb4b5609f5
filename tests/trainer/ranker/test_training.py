"""Training a ranker end to end on a collection without pixels."""

import json
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from engine.errors import InvalidInput, Mismatch
from spr_cli.train_ranker import command
from tests import apart, numeric
from tests.trainer.ranker.world import ENCODER, make_collection
from tests.trainer.runs.ending import train_and_end
from tests.workers.ranker.queries import of_tokens, rank
from trainer.ranker.batch_losses import encode_by_length
from trainer.ranker.losses import LossConfig
from trainer.ranker.prepare import prepare
from trainer.ranker.settings import RankerSettings
from trainer.ranker.training import train_ranker
from trainer.runs import Diverged
from trainer.runs.log import read_metrics
from workers.feature_store.store import FeatureStore
from workers.ranker.model.local import LocalRelo
from workers.ranker.model.relo import Relo, ReloConfig
from workers.ranker.model.windows import WindowConfig
from workers.ranker.scoring.decode import DecodeConfig
from workers.ranker.scoring.fusion import COLUMNS
from workers.ranker.scoring.relo_ranker import ReloRanker
from workers.ranker.stores.checkpoint import read_card
from workers.ranker.stores.features import FeatureMaps

SETTINGS = RankerSettings(
    model=ReloConfig(
        hidden=16,
        heads=2,
        head_init="edge",
        dropout=0.0,
        input_dropout=0.0,
        window=WindowConfig(context=4.0),
    ),
    depth=20,
    min_similarity=0.9,
    loss=LossConfig(boundary=0.1, hard_from_epoch=2),
    decode=DecodeConfig(max_span=20),
    optimizer="adamw",
    steps=40,
    batch=16,
    lr=3e-3,
    warmup=0.05,
    eval_every=20,
    log_every=1,
    save_every=10,
    seed=3,
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_collection(tmp_path_factory.mktemp("world") / "collection", train=14, val=5)


@pytest.fixture
def collection(made: Path, tmp_path: Path) -> Path:
    return shutil.copytree(made, tmp_path / "collection")


def test_refined_clearly_beats_coarse(collection: Path) -> None:
    report = train_ranker(collection, replace(SETTINGS, steps=60, lr=5e-3, score="weighed"), device="cpu")
    for measure, least in (("NDCG@10,IoU>=0.7", 1.25), ("NDCG@10,IoU>=0.5", 1.05)):
        assert report.refined[measure] > least * report.coarse[measure], measure
    rows = read_metrics(report.directory / "train" / "metrics.jsonl")
    losses = [row["loss"] for row in rows if "loss" in row]
    assert len(losses) == 60
    assert np.mean(losses[-10:]) < 0.7 * np.mean(losses[:10])


def test_lists_and_a_fitted_score_on_stored_contexts(collection: Path) -> None:
    loss = replace(SETTINGS.loss, objective="listwise", boundary=0.5, list_size=2)
    model = replace(SETTINGS.model, hidden=24, context_encoder="conv", shortcut=True, bias_reach=4)
    settings = replace(SETTINGS, model=model, steps=60, loss=loss, longest=30.0, anchor=True, score="fused")
    report = train_ranker(collection, settings, projector="none", device="cpu")
    for measure, least in (("NDCG@10,IoU>=0.7", 1.25), ("NDCG@10,IoU>=0.5", 1.05)):
        assert report.refined[measure] > least * report.coarse[measure], measure
    ranker = ReloRanker.open(report.directory)
    assert isinstance(ranker.model, LocalRelo)
    fusion = ranker.decode.fusion
    assert fusion is not None
    assert ranker.decode.max_span == 30
    assert report.score == {name: getattr(fusion.score, name) for name in COLUMNS}


def test_retrieved_negatives_are_trained_on(collection: Path) -> None:
    loss = replace(SETTINGS.loss, variant="reloclnet_rvmr_hard_neg")
    report = train_ranker(collection, replace(SETTINGS, steps=6, eval_every=6, loss=loss), device="cpu")
    rows = read_metrics(report.directory / "train" / "metrics.jsonl")
    assert all(row["hard-negative"] > 0 for row in rows if "loss" in row)


def test_what_a_training_leaves(collection: Path) -> None:
    settings = replace(SETTINGS, steps=4, eval_every=2)
    report = train_ranker(collection, settings, device="cpu")
    models = collection / "models" / "ranker"
    assert (models / "CURRENT").read_text() == report.fingerprint + "\n"
    assert sorted(path.name for path in models.iterdir()) == sorted(["CURRENT", report.fingerprint])
    left = sorted(path.name for path in (report.directory / "train").iterdir())
    assert left == ["metrics.jsonl", "plot.png", "tensorboard"]
    assert report.step in (2, 4)
    card = read_card(report.directory)
    assert (card.kind, card.encoder, card.facts["settings"]["projector"]) == ("ranker", ENCODER, "")
    ranker = ReloRanker.open(report.directory)
    assert ranker.model.config.window.clip_length == 1.0
    store = FeatureStore.open(collection / "features" / ENCODER)
    spans = np.array([[0.0, 8.0], [8.0, 16.0]])
    asked = of_tokens(np.ones((2, 16), np.float32), np.zeros(2, np.int32), spans)
    columns = rank(ranker, asked, FeatureMaps.from_feature_store(store, store.ids()))
    assert len(columns) == 2
    assert train_ranker(collection, settings, device="cpu").fingerprint == report.fingerprint


@pytest.mark.usefixtures("one_thread")
def test_killed_and_resumed_equals_unbroken_and_refuses_another_task(
    collection: Path, made: Path, tmp_path: Path
) -> None:
    unbroken = shutil.copytree(made, tmp_path / "unbroken")
    settings = replace(SETTINGS, steps=16, eval_every=8, save_every=4)
    ending = (train_ranker, signal.SIGKILL, 6)
    named = {"projector": "none", "device": "cpu"}
    assert (
        apart.call(tmp_path / "log", train_and_end, *ending, collection, settings, **named) == -signal.SIGKILL
    )
    assert not (collection / "models" / "ranker" / "CURRENT").exists()

    with pytest.raises(Mismatch, match="has steps = 16, this one 17"):
        train_ranker(collection, replace(settings, steps=17), projector="none", device="cpu")
    reports = [
        train_ranker(collection, settings, projector="none", device="cpu"),
        train_ranker(unbroken, settings, projector="none", device="cpu"),
    ]
    files = [report.directory / "model.safetensors" for report in reports]
    assert files[0].read_bytes() == files[1].read_bytes()
    records = [read_metrics(file.parent / "train" / "metrics.jsonl") for file in files]
    timeless = [[{**row, "time": 0} for row in rows] for rows in records]
    assert timeless[0] == timeless[1]


def test_it_is_told_where_val_is_searched_otherwise_than_by_a_search(collection: Path) -> None:
    changes = ["model.hidden=8", "model.heads=2", "steps=2", "eval_every=2", "batch=8", "depth_share=0.3"]
    options = [option for change in changes for option in ("--set", change)]
    result = CliRunner().invoke(command, [str(collection), *options, "--device", "cpu"])
    assert result.exit_code == 0, result.output
    report = prepare(collection, replace(SETTINGS, depth_share=0.3), None, None, torch.device("cpu"))
    val = report.validation
    assert val.depth == int(0.3 * val.segments)
    usual = min(200, val.segments)
    told = f"val: {val.depth} of {val.segments} segments retrieved a query; a search retrieves {usual}"
    assert told in result.stdout


def test_a_training_that_diverges_makes_nothing_current(collection: Path) -> None:
    settings = replace(SETTINGS, steps=8, eval_every=4, log_every=4, lr=1e30, clip=1e30)
    with pytest.raises(Diverged, match="smaller learning rate"):
        train_ranker(collection, settings, projector="none", device="cpu")
    home = collection / "models" / "ranker"
    assert not (home / "CURRENT").exists()
    assert list(home.glob("*/model.safetensors")) == []


CONFIG = """
[ranker]
steps = 2
eval_every = 2
batch = 8
[ranker.model]
hidden = 8
heads = 4
[ranker.model.window]
context = 4.0
[ranker.loss]
margin = 0.3
"""


def test_command_line(collection: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(CONFIG)
    given = ["--config", str(tmp_path / "mine.toml"), "--set", "model.heads=2", "--set", "loss.margin=0.2"]
    result = CliRunner().invoke(
        command, [str(collection), *given, "--seed", "9", "--device", "cpu", "--projector", "none", "--json"]
    )
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    settings = read_card(Path(report["directory"])).facts["settings"]
    assert (report["encoder"], settings["seed"], settings["loss"]["margin"]) == (ENCODER, 9, 0.2)
    assert (settings["model"]["heads"], settings["model"]["window"]["context"]) == (2, 4.0)


def test_settings_that_cannot_train_are_refused(collection: Path) -> None:
    for wrong in ({"batch": 1}, {"steps": 0, "epochs": 0}, {"warmup": 0.0}, {"proposals": "some"}):
        with pytest.raises(InvalidInput):
            replace(SETTINGS, **wrong)
    with pytest.raises(InvalidInput, match="lower min_similarity"):
        prepare(collection, replace(SETTINGS, min_similarity=2.0), None, None, torch.device("cpu"))


def test_val_is_proposed_as_searches_are_and_training_by_a_rule_of_its_own(collection: Path) -> None:
    device = torch.device("cpu")
    published = prepare(collection, SETTINGS, "none", None, device)
    peaks = replace(SETTINGS, val_proposals="peaks:1")
    searched = prepare(collection, peaks, "none", None, device)
    assert searched.digest == published.digest
    np.testing.assert_array_equal(searched.train.mined.spans, published.train.mined.spans)
    for proposals in searched.validation.proposals:
        assert (proposals.spans[:, 1] - proposals.spans[:, 0] <= 12.0).all()
    mined = prepare(collection, replace(SETTINGS, proposals="peaks:1"), "none", None, device).train.mined
    assert not np.array_equal(mined.spans, published.train.mined.spans)
    with pytest.raises(InvalidInput, match="proposal rule is 'runs'"):
        replace(SETTINGS, val_proposals="runs")


def test_encoding_by_length_changes_nothing(collection: Path) -> None:
    data = prepare(collection, SETTINGS, "none", None, torch.device("cpu"))
    torch.manual_seed(0)
    model = Relo(data.model).eval()
    batch = data.train.batch(np.arange(20), (1, 2), torch.device("cpu"))
    one = encode_by_length(model, batch.windows, 1)
    for groups in (3, 30):
        parts = encode_by_length(model, batch.windows, groups)
        assert torch.equal(parts.mask, one.mask)
        for found, wanted in zip(parts[:-1], one[:-1], strict=True):
            valid = one.mask[..., None]
            numeric.close(found * valid, wanted * valid)
