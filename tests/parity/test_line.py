"""The whole line of somebody who owns the data: published layout and checkpoints in, a table out."""

import json
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from spr_cli.main import cli
from tests.parity import files
from tests.parity.rule import state_by_rule
from tests.trainer.formats import tvr
from tests.workers.ranker import golden
from workers.ranker.projection.projector import Projector, ProjectorConfig


def spr(*arguments: object) -> Any:
    result = CliRunner().invoke(cli, [*map(str, arguments), "--json"])
    assert result.exit_code == 0, (arguments, result.output, result.exception)
    return json.loads(result.stdout)


def test_published_data_and_checkpoints_make_a_table(tmp_path: Path) -> None:
    data, collection = tvr.write_layout(tmp_path / "data"), tmp_path / "c"
    spr("corpus", "import-tvr-ranking", data, "--collection", collection)
    projector = state_by_rule(Projector(ProjectorConfig(tvr.FRAMES, heads=1, layers=2)), 0.1)
    config = golden.values("reloclnet_small_config")["config"]
    fingerprints = {}
    for path in (
        files.stage1(tmp_path / "ckpt.bin", projector),
        files.stage3(tmp_path / "best_model.pt", golden.relo().state_dict(), config),
    ):
        told = spr("import-checkpoint", path, "--collection", collection)
        fingerprints[told["kind"]] = told["fingerprint"]
    spr("build", collection, "--index", "flatl2")
    truth = collection / "annotations" / "test.json"
    report = spr("eval", "--collection", collection, "--truth", truth, "--absent", "skip")
    assert report["versions"]["embedding_model"].endswith("/" + fingerprints["projector"])
    assert report["versions"]["ranker_model"] == "relo@" + fingerprints["ranker"]
    assert all(0 <= report[stage]["NDCG@10,IoU>=0.5"] <= 1 for stage in ("coarse", "refined"))
