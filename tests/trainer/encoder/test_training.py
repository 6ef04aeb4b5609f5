"""Training of the encoder on a few tiny videos, and the parts it is made of."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from engine.errors import InvalidInput, NotFound
from spr_cli.train_encoder import command
from tests.trainer.encoder.tiny import TINY
from trainer.encoder.events import load_events
from trainer.encoder.settings import steps_in
from trainer.encoder.training import choose, train_encoder
from trainer.runs import Diverged
from workers.ranker.encoder.encoder import Encoder


def test_a_trained_model_loads_everywhere(world: Path, tmp_path: Path) -> None:
    from transformers import AutoTokenizer, CLIPModel, CLIPTokenizerFast

    reported: list[tuple[str, int, int]] = []
    out = tmp_path / "encoder"
    summary = train_encoder(world, out, TINY, report=lambda *said: reported.append(said[:3]))
    assert reported[2] == ("decoding", 3, 3)
    assert reported[-1] == ("training", 6, 6)
    assert CLIPModel.from_pretrained(out).config.projection_dim == 32
    for kind in (AutoTokenizer, CLIPTokenizerFast):
        tokenizer = kind.from_pretrained(out)
        ids = tokenizer("a red bar. Ünseen?")["input_ids"]
        assert (ids[0], ids[-1], ids.count(tokenizer.eos_token_id)) == (
            tokenizer.bos_token_id,
            tokenizer.eos_token_id,
            1,
        )
    encoder = Encoder.load(str(out), "cpu")
    assert encoder.fingerprint == summary["fingerprint"]
    assert encoder.images(np.zeros((2, 48, 80, 3), np.uint8)).shape == (2, 32)
    val = summary["val"]
    assert (val["events"], val["frames"]) == (2, 4)
    assert val["zero_shot"]["shape"]["chance"] == 0.5
    assert 0 <= val["text_to_event"]["recall@1"] <= 1
    assert val["question_to_speech"]["queries"] == 2
    kept = json.loads((out / "train" / "summary.json").read_text())
    assert kept["settings"]["steps"] == 6
    assert [path.name for path in tmp_path.iterdir()] == ["encoder"]


def test_the_same_seed_gives_the_same_model(world: Path, tmp_path: Path) -> None:
    made = [
        train_encoder(world, tmp_path / name, replace(TINY, steps=3, seed=seed))["fingerprint"]
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    ]
    assert made[0] == made[1] != made[2]


def test_a_training_that_diverges_makes_nothing(world: Path, tmp_path: Path) -> None:
    out = tmp_path / "encoder"
    with pytest.raises(Diverged, match="another --seed"):
        train_encoder(world, out, replace(TINY, steps=4, lr=1e30, muon_lr=1e30))
    assert not out.exists()


@pytest.mark.parametrize("minutes", [float("nan"), float("inf"), 0.0, -1.0])
def test_minutes_that_cannot_be_are_refused(minutes: float) -> None:
    with pytest.raises(InvalidInput, match="--minutes"):
        steps_in(minutes)


def test_what_is_there_is_replaced_only_when_asked(world: Path, tmp_path: Path) -> None:
    out, settings = tmp_path / "encoder", replace(TINY, steps=1)
    train_encoder(world, out, settings)
    with pytest.raises(InvalidInput, match="--force"):
        train_encoder(world, out, settings)
    again = train_encoder(world, out, replace(settings, seed=1), force=True)
    assert Encoder.load(str(out), "cpu").fingerprint == again["fingerprint"]
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.txt").write_text("mine")
    with pytest.raises(InvalidInput, match="replaces models only"):
        train_encoder(world, tmp_path / "other", settings, force=True)
    assert (tmp_path / "other" / "thesis.txt").exists()


def test_a_failed_training_leaves_nothing(world: Path, tmp_path: Path) -> None:
    (tmp_path / "world").mkdir()
    (tmp_path / "world" / "captions.jsonl").write_text((world / "captions.jsonl").read_text())
    (tmp_path / "world" / "videos").mkdir()
    (tmp_path / "world" / "videos" / "v0.mp4").write_bytes(b"no film")
    with pytest.raises(InvalidInput, match=r"v0\.mp4 cannot be decoded"):
        train_encoder(tmp_path / "world", tmp_path / "out", TINY)
    assert [path.name for path in tmp_path.iterdir()] == ["world"]


def test_the_command_prints_figures_and_json(world: Path, tmp_path: Path) -> None:
    shown = CliRunner().invoke(
        command, [str(world), "--out", str(tmp_path / "e"), "--minutes", "0.004", "--device", "cpu", "--json"]
    )
    assert shown.exit_code == 0, shown.output
    assert json.loads(shown.stdout)["steps"] == 1


def test_no_world_and_bad_captions_are_named(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="spr corpus render"):
        load_events(tmp_path)
    (tmp_path / "captions.jsonl").write_text('{"video": "v"}\n')
    with pytest.raises(InvalidInput, match=r"captions\.jsonl: line 1 is not a caption"):
        load_events(tmp_path)


def test_large_worlds_are_sampled_by_video(world: Path) -> None:
    events = load_events(world)
    assert len(choose(events, TINY)) == 6
    few = choose(events, replace(TINY, most_events=3))
    assert len(few) == 4
    assert {event.split for event in few} == {"train"}
