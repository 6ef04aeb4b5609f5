"""A training in two processes: the steps of one, stopped together, led by one."""

import json
import shutil
import signal
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests import numeric
from tests.trainer.projector.tiny import SETTINGS, make_collection
from tests.trainer.runs.among import train_among
from tests.trainer.runs.ending import train_and_end
from trainer.projector.training import train_projector
from trainer.runs import Processes, joined
from trainer.runs.log import read_metrics


@pytest.mark.usefixtures("one_thread")
def test_two_processes_do_the_steps_of_one_also_when_they_were_stopped(tmp_path: Path) -> None:
    whole = make_collection(tmp_path / "one")
    shared = shutil.copytree(whole, tmp_path / "two")
    # Of an odd batch the two have shares that differ.
    settings = replace(SETTINGS, steps=8, batch=31, eval_every=8)
    one = train_projector(whole, settings, device="cpu")
    stopped = train_among(
        tmp_path / "log", 2, train_and_end, train_projector, signal.SIGTERM, 5, shared, settings, device="cpu"
    )
    assert all(stopped)
    assert [
        "Stopped after step 5; the same command goes on" in (tmp_path / "log" / rank).read_text()
        for rank in "01"
    ] == [True, True]
    assert train_among(tmp_path / "log", 2, train_projector, shared, settings, device="cpu") == [0, 0]
    (two,) = [path for path in (shared / "models" / "projector").iterdir() if path.is_dir()]
    assert json.loads((two / "config.json").read_text())["facts"]["best"][0] == one.step == 8
    expected, found = (load_file(path / "model.safetensors") for path in (one.directory, two))
    for name, value in expected.items():
        # Adam makes steps of rounding where a gradient is zero, as that of attention's key biases is.
        numeric.close(found[name], value, 1e-4, scale=1.0)
    losses = [
        [row["loss"] for row in read_metrics(path / "train" / "metrics.jsonl") if "loss" in row]
        for path in (one.directory, two)
    ]
    numeric.close(losses[0], losses[1], 1e-4)
    assert len(losses[0]) == 8


def train_without_yielding() -> None:
    """Take a step, end, and drop the model, while threads of the group wait for the GIL to drop tensors."""
    sys.setswitchinterval(1000)
    with joined(torch.device("cpu")) as processes:
        layer = torch.nn.Linear(2, 2)
        losses = processes.averaged(layer, lambda rows: layer(rows).sum())
        losses(torch.ones(1, 2)).backward()
        for _ in range(100):
            torch.distributed.all_reduce(torch.ones(1), async_op=True)
    del losses


def test_processes_end_where_a_thread_of_their_group_waits_for_the_gil(tmp_path: Path) -> None:
    assert train_among(tmp_path / "log", 2, train_without_yielding) == [0, 0]


def test_processes_draw_by_rank_and_step_inside_and_alike_outside() -> None:
    def drawn(rank: int, step: int, count: int = 2) -> tuple[float, float]:
        torch.manual_seed(7)
        with Processes(rank, count).drawing((3, step)):
            inside = torch.rand(()).item()
        return inside, torch.rand(()).item()

    assert drawn(0, 5) == drawn(0, 5)
    assert len({drawn(*place)[0] for place in ((0, 5), (1, 5), (0, 6), (1, 6))}) == 4
    torch.manual_seed(7)
    usual = [torch.rand(()).item(), torch.rand(()).item()]
    assert {drawn(rank, 5)[1] for rank in range(2)} == {usual[0]}
    assert [*drawn(0, 5, count=1)] == usual
