"""A collection with trained models, exported and imported again: served, it gives the same table."""

import json
import shutil
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from spr_cli.main import cli
from tests.system.service import running, write_topology
from tests.trainer.ranker.world import make_collection
from tests.workers.feature_store.stores import with_source
from trainer.collection.places import features_directory
from trainer.projector.settings import ProjectorSettings, ProjectorShape
from trainer.projector.training import train_projector
from trainer.ranker.settings import RankerSettings
from trainer.ranker.training import train_ranker
from workers.ranker.model.relo import ReloConfig

PROJECTOR = ProjectorSettings(
    model=ProjectorShape(type="meanP", heads=2),
    threshold=0.0,
    steps=4,
    batch=4,
    recall_at=(5,),
    select="recall@5",
)
RANKER = RankerSettings(model=ReloConfig(hidden=16, heads=2), steps=4, batch=4, depth=10)


def spr(*arguments: object) -> None:
    result = CliRunner().invoke(cli, [*map(str, arguments)])
    assert result.exit_code == 0, (arguments, result.output, result.exception)


def build(collection: Path, models: Path) -> None:
    """Build with the models of another collection."""
    named = [
        part
        for kind in ("projector", "ranker")
        for part in (f"--{kind}", models / kind / (models / kind / "CURRENT").read_text().strip())
    ]
    spr("build", collection, "--index", "flatl2", "--shards", 1, "--device", "cpu", *named)


def table(collection: Path, report: Path, *asked: object) -> Any:
    """Return what `spr eval` says of a collection's validation queries."""
    spr("eval", *asked, "--truth", collection / "annotations" / "val.json", "--out", report)
    value = json.loads(report.read_text())
    return {stage: value[stage] for stage in ("retrieval", "coarse", "refined", "chance", "slices")}


def test_the_same_table_before_and_after(tmp_path: Path) -> None:
    first, second, out = tmp_path / "first", tmp_path / "second", tmp_path / "out"
    make_collection(first, train=8, val=3)
    path = first / "annotations" / "val.json"
    entries = [{**entry, "query_id": entry["query_id"] + 1000} for entry in json.loads(path.read_text())]
    path.write_text(json.dumps(entries))
    # The encoder is made up: sentences are known by their stored features.
    features = features_directory(first)
    with_source(features, f"queries/{features.name}")
    train_projector(first, PROJECTOR, device="cpu")
    train_ranker(first, RANKER, device="cpu")
    shutil.copytree(first / "models", tmp_path / "models")
    build(first, tmp_path / "models")
    before = table(first, tmp_path / "before.json", "--collection", first)
    spr("corpus", "export-tvr-ranking", first, out, "--device", "cpu")
    spr("corpus", "import-tvr-ranking", out, "--collection", second)
    build(second, tmp_path / "models")
    assert table(second, tmp_path / "after.json", "--collection", second) == before
    topology = write_topology(tmp_path / "topology.toml", second, shards=1)
    with running(tmp_path / "log.jsonl", str(topology)) as service:
        served = table(second, tmp_path / "served.json", "--address", service.address)
    # A service tells the moments alone, not all segments that were retrieved.
    assert {**served, "retrieval": before["retrieval"]} == before
    assert served["retrieval"]["VideoRecall"] == before["retrieval"]["VideoRecall"]
    assert before["refined"]["NDCG@10,IoU>=0.3"] > 0
