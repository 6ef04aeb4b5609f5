"""Training a projector end to end on a tiny collection."""

import json
import shutil
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from engine.errors import InvalidInput, Mismatch, NotFound
from spr_cli.train_projector import command
from tests import apart, numeric
from tests.trainer.projector.tiny import ENCODER, SETTINGS, make_collection
from tests.trainer.runs.ending import train_and_end
from trainer.projector.data import load_segments
from trainer.projector.initial import initialise
from trainer.projector.optimisation import parameter_groups, schedule
from trainer.projector.settings import ProjectorSettings
from trainer.projector.training import train_projector
from trainer.runs import Diverged
from trainer.runs.log import read_metrics
from trainer.runs.settings import load_settings
from workers.feature_store.store import FeatureStore
from workers.ranker.projection.projector import MeanPool, Projector, ProjectorConfig, load_projector
from workers.ranker.stores.checkpoint import read_card

ROOT = Path(__file__).parents[3]
GOLDEN = ROOT / "tests" / "golden" / "projector"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_collection(tmp_path_factory.mktemp("tiny") / "collection")


@pytest.fixture
def collection(made: Path, tmp_path: Path) -> Path:
    return shutil.copytree(made, tmp_path / "collection")


@pytest.mark.parametrize(
    ("kind", "init"),
    [("seqTransf", "identity"), ("seqTransf", "published"), ("meanP", "identity"), ("seqLSTM", "identity")],
)
def test_training_beats_mean_pooling_and_its_loss_falls(collection: Path, kind: Any, init: Any) -> None:
    settings = replace(SETTINGS, model=replace(SETTINGS.model, type=kind), init=init)
    report = train_projector(collection, settings, device="cpu")
    assert report.value > report.baseline[report.metric] + 0.2
    losses = [
        row["loss"] for row in read_metrics(report.directory / "train" / "metrics.jsonl") if "loss" in row
    ]
    assert len(losses) == 60
    assert np.mean(losses[-10:]) < 0.7 * np.mean(losses[:10])


def test_what_a_training_leaves(collection: Path) -> None:
    report = train_projector(collection, replace(SETTINGS, steps=8), device="cpu")
    models = collection / "models" / "projector"
    assert (models / "CURRENT").read_text() == report.fingerprint + "\n"
    assert sorted(path.name for path in models.iterdir()) == sorted(["CURRENT", report.fingerprint])
    assert sorted(path.name for path in report.directory.iterdir()) == [
        "config.json",
        "model.safetensors",
        "train",
    ]
    left = sorted(path.name for path in (report.directory / "train").iterdir())
    assert left == ["metrics.jsonl", "plot.png", "tensorboard"]
    card = read_card(report.directory)
    assert (card.kind, card.encoder, card.facts["settings"]["seed"]) == ("projector", ENCODER, 3)
    projector = load_projector(report.directory)
    assert projector.segments(torch.randn(2, 4, 16)).shape == (2, 16)
    again = train_projector(collection, replace(SETTINGS, steps=8), device="cpu")
    assert again.fingerprint == report.fingerprint


@pytest.mark.usefixtures("one_thread")
def test_killed_and_resumed_equals_unbroken_and_refuses_another_task(
    collection: Path, made: Path, tmp_path: Path
) -> None:
    unbroken = shutil.copytree(made, tmp_path / "unbroken")
    settings = replace(SETTINGS, steps=20, eval_every=10)
    ending = (train_projector, signal.SIGKILL, 13)
    code = apart.call(tmp_path / "log", train_and_end, *ending, collection, settings, device="cpu")
    assert code == -signal.SIGKILL
    assert not (collection / "models" / "projector" / "CURRENT").exists()

    with pytest.raises(Mismatch, match="has steps = 20, this one 21"):
        train_projector(collection, replace(settings, steps=21), device="cpu")
    annotations = collection / "annotations" / "train.json"
    written = annotations.read_text()
    annotations.write_text(written.replace("0.9", "0.8"))
    with pytest.raises(Mismatch, match="has data = "):
        train_projector(collection, settings, device="cpu")
    annotations.write_text(written)

    reports = [train_projector(collection, settings), train_projector(unbroken, settings)]
    files = [report.directory / "model.safetensors" for report in reports]
    assert files[0].read_bytes() == files[1].read_bytes()
    records = [read_metrics(file.parent / "train" / "metrics.jsonl") for file in files]
    timeless = [[{**row, "time": 0} for row in rows] for rows in records]
    assert timeless[0] == timeless[1]


@pytest.mark.parametrize("changes", [{"lr": 1e10}, {"lr": 1e30, "log_every": 1000, "eval_every": 1000}])
def test_a_training_that_diverges_leaves_the_current_model(collection: Path, changes: dict[str, Any]) -> None:
    home = collection / "models" / "projector"
    good = train_projector(collection, replace(SETTINGS, steps=4), device="cpu")
    with pytest.raises(Diverged, match="smaller learning rate"):
        train_projector(collection, replace(SETTINGS, steps=20, clip=1e9, **changes), device="cpu")
    assert (home / "CURRENT").read_text().strip() == good.fingerprint
    assert [path.name for path in home.iterdir() if (path / "model.safetensors").exists()] == [
        good.fingerprint
    ]
    # Nothing of it is in the way of the next.
    assert train_projector(collection, replace(SETTINGS, steps=4), device="cpu").value == good.value


def test_command_line(collection: Path) -> None:
    changes = [
        "steps=10",
        "eval_every=5",
        "recall_at=[5, 10]",
        "select=recall@5",
        "model.heads=1",
        "batch=16",
        "model.subtitles=false",
    ]
    options = [option for change in changes for option in ("--set", change)]
    result = CliRunner().invoke(
        command, [str(collection), *options, "--seed", "9", "--device", "cpu", "--json"]
    )
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert (report["metric"], report["encoder"]) == ("recall@5", ENCODER)
    assert read_card(Path(report["directory"])).facts["settings"]["seed"] == 9


def test_identity_starts_as_mean_pooling(collection: Path) -> None:
    store = FeatureStore.open(collection / "features" / ENCODER)
    frames = load_segments(store, store.ids(), 4).inputs(slice(None), torch.device("cpu"))
    for config in (
        ProjectorConfig(16, "seqTransf", 2, 2),
        ProjectorConfig(16, "seqLSTM"),
        ProjectorConfig(16, "meanP"),
    ):
        projector = Projector(config)
        initialise(projector, "identity")
        numeric.close(projector.segments(frames), MeanPool().segments(frames))
        assert torch.equal(projector.queries(frames[:, 0]), frames[:, 0])


def test_identity_adds_half_of_what_is_said() -> None:
    projector = Projector(ProjectorConfig(16, "seqTransf", 1, 2, subtitles=True, around=2))
    initialise(projector, "identity")
    inputs = torch.randn(5, 8, 32)
    expected = MeanPool().segments(inputs[:, 2:6, :16]) + 0.5 * MeanPool().segments(inputs[..., 16:])
    numeric.close(projector.segments(inputs), expected)


def test_what_is_said_is_found_by_those_who_read_it(tmp_path: Path) -> None:
    spoken = make_collection(tmp_path / "spoken", spoken=True)
    wide = replace(SETTINGS.model, around=2)
    deaf = train_projector(spoken, replace(SETTINGS, model=wide), device="cpu")
    heard = train_projector(spoken, replace(SETTINGS, model=replace(wide, subtitles=True)), device="cpu")
    assert heard.baseline == deaf.baseline
    assert heard.value > deaf.value + 0.2
    assert load_projector(heard.directory).streams == ("frames", "subtitles")


def test_subtitles_must_be_there(collection: Path) -> None:
    with pytest.raises(InvalidInput, match="has no stream 'subtitles'"):
        train_projector(
            collection, replace(SETTINGS, model=replace(SETTINGS.model, subtitles=True)), device="cpu"
        )


def test_published_groups_and_schedule() -> None:
    with torch.device("meta"):
        groups = parameter_groups(Projector(ProjectorConfig()))
    assert [len(group) for group in groups] == [1, 39, 38]
    golden = json.loads((GOLDEN / "schedule.json").read_text())
    for step, factor in golden["factors"].items():
        assert schedule(int(step), golden["steps"], 0.05) == pytest.approx(factor, abs=1e-12)


def test_missing_things_name_the_command_that_makes_them(collection: Path) -> None:
    (collection / "annotations" / "val.json").rename(collection / "val.json")
    with pytest.raises(NotFound, match=r"val\.json is missing; .* spr corpus annotate"):
        train_projector(collection, SETTINGS)
    (collection / "val.json").rename(collection / "annotations" / "val.json")
    with pytest.raises(NotFound, match=f"has no features of encoder ffff; there are {ENCODER}"):
        train_projector(collection, SETTINGS, encoder="ffff")
    shutil.copytree(collection / "features" / ENCODER, collection / "features" / "ffff")
    with pytest.raises(InvalidInput, match=rf"add --encoder {ENCODER} \(none, 16 videos\) or ffff"):
        train_projector(collection, SETTINGS)
    shutil.rmtree(collection / "features")
    with pytest.raises(NotFound, match="spr ingest VIDEOS --collection"):
        train_projector(collection, SETTINGS)


def test_unusable_settings_are_named(collection: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"No training pair has a score of 0\.95"):
        train_projector(collection, replace(SETTINGS, threshold=0.95))
    with pytest.raises(InvalidInput, match="cannot rank models on 48 val segments"):
        train_projector(collection, replace(SETTINGS, recall_at=(5, 60), select="recall@60"))
    with pytest.warns(UserWarning, match="recall@60 is of all 48 val segments"):
        train_projector(collection, replace(SETTINGS, recall_at=(5, 60), select="recall@5", steps=1))
    with pytest.raises(InvalidInput, match=r"projector.select = 'recall@7' is not measured"):
        replace(SETTINGS, select="recall@7")
    file = tmp_path / "mine.toml"
    file.write_text("[projector]\nlr = 1e-3\nlearning_rate = 2\n")
    with pytest.raises(InvalidInput, match=r"mine\.toml: unknown key projector\.learning_rate"):
        load_settings(ProjectorSettings, "projector", str(file))
    file.write_text("[projector]\n[reranker]\n")
    with pytest.raises(InvalidInput, match=r"mine\.toml: unknown key reranker"):
        load_settings(ProjectorSettings, "projector", str(file))
    with pytest.raises(
        InvalidInput, match=r"demo\.toml with --set: projector\.lr = 'fast' is not of type float"
    ):
        load_settings(ProjectorSettings, "projector", "demo", ["lr=fast"])
    with pytest.raises(InvalidInput, match="is not key=value"):
        load_settings(ProjectorSettings, "projector", "demo", ["lr"])
    with pytest.raises(
        NotFound,
        match="no config 'mega'; name a TOML file or one of demo, demo-published, tvr-ranking-base, tvr-rank",
    ):
        load_settings(ProjectorSettings, "projector", "mega")
