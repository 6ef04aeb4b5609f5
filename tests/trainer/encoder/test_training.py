"""Training of the encoder on a few tiny videos, and the parts it is made of."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from numpy.typing import NDArray

from engine.errors import InvalidInput, NotFound
from engine.files import refusal
from spr_cli.train_encoder import command
from tests import numeric
from tests.trainer.encoder import worlds
from tests.trainer.generation.test_disk import largest_file
from trainer.encoder.augment import Augmentation
from trainer.encoder.events import load_events
from trainer.encoder.frames import changes, frames_at, sample_frames, times_beside
from trainer.encoder.model import ModelShape, image_processor
from trainer.encoder.sampling import FrameSampler
from trainer.encoder.settings import EncoderSettings, steps_in
from trainer.encoder.training import choose, train_encoder
from trainer.runs import Diverged
from workers.ranker.encoder.encoder import Encoder
from workers.ranker.encoder.image_transform import ImageTransform

TINY = EncoderSettings(
    steps=6,
    device="cpu",
    shape=ModelShape(image=32, width=64, layers=2, heads=2, text_layers=1, dim=32),
    batch=4,
    backgrounds=1,
    spoken=2,
    frames_per_event=3,
    val_frames_per_event=2,
)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return worlds.make(tmp_path_factory.mktemp("world"))


@pytest.mark.parametrize("room", [1_000, 20_000])
def test_a_full_disk_is_one_sentence_and_leaves_nothing(world: Path, tmp_path: Path, room: int) -> None:
    with largest_file(room), pytest.raises(OSError, match="File too large") as caught:
        train_encoder(world, tmp_path / "encoder", replace(TINY, steps=1))
    told = refusal(caught.value)
    assert told.reason == "DISK_FULL"
    assert str(told).startswith(f"{tmp_path}/")
    assert list(tmp_path.iterdir()) == []


def test_a_trained_model_loads_everywhere(world: Path, tmp_path: Path) -> None:
    from transformers import AutoTokenizer, CLIPModel, CLIPTokenizerFast

    reported: list[tuple[str, int, int]] = []
    out = tmp_path / "encoder"
    summary = train_encoder(world, out, TINY, on_progress=lambda *said: reported.append(said[:3]))
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


def test_frames_are_those_shown_at_the_time(world: Path) -> None:
    frames = frames_at(world / "videos" / "v0.mp4", np.array([0.0, 2.99, 3.0, 5.9, 6.1, 11.0, 99.0]))
    middle: NDArray[np.uint8] = frames[:, 10, 14]
    assert (middle[:, 0] > 150).tolist() == [False, False, True, True, False, True, False]


def test_masks_mark_what_happens(world: Path) -> None:
    events = [event for event in load_events(world) if event.split == "train"]
    transform = ImageTransform.from_processor(image_processor(TINY.shape))
    frames = sample_frames(world, events, 3, transform, 0)
    assert len(frames.pixels) == len(events) * 5
    for row, event in enumerate(events):
        high = 10 if event.attributes["shape"] == "bar" else 20
        assert len(frames.of(row)) == 3
        for mask in frames.masks[frames.of(row)]:
            assert abs(int(mask.sum()) - high * 12) <= high + 12
        assert not frames.masks[frames.beside(row)].any()


def test_subjects_move_to_other_places(world: Path) -> None:
    events = [event for event in load_events(world) if event.split == "train"]
    transform = ImageTransform.from_processor(image_processor(TINY.shape))
    frames = sample_frames(world, events, 3, transform, 0)
    still = Augmentation(closest=1.0, calmest=1.0, widest=1.0, turn=0.0, light=0.0)
    rows = np.zeros(64, np.int64)
    shades = {}
    for moved in (0.0, 1.0):
        pixels, masks = FrameSampler(frames, events, still, moved, 0).draw(rows, 0, 1.0)
        shades[moved] = {int(shade / 10 + 0.5) for shade in pixels[:, 0, 0, 0]}
        red = pixels[:, 0][masks > 0.9]
        assert (red > 150).float().mean() > 0.8
    assert shades == {0.0: {6}, 1.0: {6, 8, 10}}


def test_times_beside_events_are_outside_all_of_them() -> None:
    numeric.close(times_beside([(0.1, 3.0), (3.2, 5.0)]), [[0.05, 3.1], [3.1, 5.3]], numeric.FLOAT64)


def test_changes_must_differ_from_every_neighbour() -> None:
    frames = torch.full((1, 3, 1, 3), 100, dtype=torch.uint8)
    before, after = torch.tensor([100, 0, 0]), torch.tensor([0, 0, 100])
    beside = torch.stack([before, after]).to(torch.uint8)[:, None, None].expand(2, 3, 1, 3)
    assert changes(frames, beside)[0, 0].tolist() == [False, True, False]
