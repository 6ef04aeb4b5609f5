"""torchrun with two gloo processes: the ranker of one process, also after one of the two was killed."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file

from tests import numeric
from tests.trainer.ranker.world import make_collection
from trainer.runs.log import read_metrics

pytestmark = pytest.mark.nightly
STEPS = 40
SETTINGS = (
    *("steps=40", "batch=15", "eval_every=20", "save_every=10", "log_every=1", "min_similarity=0.9"),
    *("model.hidden=16", "model.heads=2", "model.dropout=0", "model.input_dropout=0", "seed=3"),
)
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "spr_cli.main"]


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A collection and its ranker, trained in one process."""
    made = make_collection(tmp_path_factory.mktemp("one") / "c", train=14, val=5)
    shutil.copytree(made, made.parent / "untrained")
    started = train([sys.executable, "-m", "spr_cli.main"], made)
    assert started.wait(600) == 0
    return made


def train(command: list[str], collection: Path) -> "subprocess.Popen[bytes]":
    changes = [part for setting in SETTINGS for part in ("--set", setting)]
    arguments = ["train", "ranker", str(collection), "--projector", "none", "--device", "cpu", *changes]
    with (collection.parent / "log").open("ab") as log:
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        return subprocess.Popen([*command, *arguments], stderr=log, stdout=log, env=environment)


def ranker(collection: Path) -> Path:
    (made,) = [path for path in (collection / "models" / "ranker").iterdir() if path.is_dir()]
    return made


def losses(run: Path) -> list[float]:
    return [row["loss"] for row in read_metrics(run / "metrics.jsonl") if "loss" in row]


@pytest.mark.parametrize("killed", [False, True])
def test_two_processes_train_the_ranker_of_one(one: Path, tmp_path: Path, killed: bool) -> None:
    two = shutil.copytree(one.parent / "untrained", tmp_path / "c")
    if killed:
        started = train(TORCHRUN, two)
        while len(losses(two / "models" / "ranker" / "unfinished")) < STEPS // 2:
            assert started.poll() is None, (tmp_path / "log").read_text()
        # The one that does not lead.
        os.kill(
            max(map(int, Path(f"/proc/{started.pid}/task/{started.pid}/children").read_text().split())), 9
        )
        assert started.wait(600) != 0
        assert "cannot go on, most likely as another ended" in (tmp_path / "log").read_text()
    assert train(TORCHRUN, two).wait(600) == 0, (tmp_path / "log").read_text()
    expected, found = losses(ranker(one) / "train"), losses(ranker(two) / "train")
    assert found == pytest.approx(expected, abs=1e-3)
    assert len(found) == STEPS
    weights, others = (load_file(ranker(made) / "model.safetensors") for made in (one, two))
    for name, value in weights.items():
        numeric.close(others[name], value, 1e-2, scale=1.0)
