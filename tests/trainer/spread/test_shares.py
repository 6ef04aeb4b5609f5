"""Evaluation and mining in shares of the queries: what one process makes, though workers die."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from engine.errors import Unavailable
from spr_cli.eval import command
from tests.trainer.ranker.test_training import SETTINGS
from tests.trainer.ranker.world import make_collection
from tests.trainer.spread.threads import Threads
from tests.workers.ranker.factories import TEXTS, tiny_collection
from trainer.collection.annotations import JudgedMoment, JudgedQuery, save_queries
from trainer.ranker.prepare import prepare
from trainer.spread import answers, proposals


@pytest.fixture(autouse=True)
def in_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (answers, proposals):
        monkeypatch.setattr(module, "Crew", Threads)
    monkeypatch.setattr(answers, "SHARE", 1)


@pytest.mark.parametrize("kill", [0, 1])
def test_an_evaluation_in_shares_reports_what_one_process_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kill: int
) -> None:
    monkeypatch.setattr(Threads, "kill", kill)
    collection = tiny_collection(tmp_path / "c", trained=True).directory
    moment = JudgedMoment(0, "a", 12.0, 20.0, 40.0, "x", 1.0, 4)
    judged = [JudgedQuery(number, text, (moment,)) for number, text in enumerate((*TEXTS, "a dog", "rain"))]
    save_queries(tmp_path / "truth.json", judged)
    made = []
    for engine in ("local", "ray"):
        out = tmp_path / f"{engine}.json"
        options = ["--collection", collection, "--truth", tmp_path / "truth.json", "--engine", engine]
        result = CliRunner().invoke(command, [*map(str, (*options, "--run-out", out, "--json"))])
        assert result.exit_code == 0, result.output
        made.append((json.loads(out.read_bytes()), json.loads(result.stdout)))
    assert made[0] == made[1]


def test_a_service_is_not_asked_from_a_cluster(tmp_path: Path) -> None:
    truth = ["--address", "h:1", "--truth", str(tmp_path / "truth.json"), "--engine", "ray"]
    result = CliRunner().invoke(command, truth)
    assert (result.exit_code, "--engine ray answers queries of a --collection" in result.output) == (2, True)


def test_a_training_mines_in_shares_what_one_process_mines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    collection = make_collection(tmp_path / "c", train=6, val=3)
    monkeypatch.setattr("trainer.spread.proposals.QUERIES_AT_ONCE", 2)
    monkeypatch.setattr("trainer.collection.retrieval.QUERIES_AT_ONCE", 2)
    settings = dataclasses.replace(SETTINGS, batch=2)
    here, there = (
        prepare(collection, settings, "none", None, torch.device("cpu"), engine=engine)
        for engine in ("local", "ray")
    )
    assert here.digest == there.digest
    assert len(here.train.mined.spans)
    for name in ("offsets", "videos", "spans"):
        np.testing.assert_array_equal(
            getattr(here.train.mined, name), getattr(there.train.mined, name), strict=True
        )


def test_a_share_over_which_workers_die_again_and_again_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Threads, "take", _died)
    collection = make_collection(tmp_path / "c", train=6, val=3)
    with pytest.raises(Unavailable, match="3 workers died over one share of the work"):
        prepare(collection, SETTINGS, "none", None, torch.device("cpu"), engine="ray")


def _died(crew: Threads, member: object) -> object:
    from trainer.spread.crew import Died, Member

    assert isinstance(member, Member)
    member.call.result()
    member.call = None
    raise Died
