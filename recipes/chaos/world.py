"""The collection that is served while things break: tiny clips, models with random weights, exact index."""

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch

from bench import models
from bench.sizes import TINY, Sizes
from engine.errors import SprError
from recipes.steps import SPR
from workers.ranker.encoder.encoder import Encoder
from workers.ranker.model.relo import Relo, ReloConfig
from workers.ranker.model.windows import WindowConfig
from workers.ranker.projection import projector
from workers.ranker.projection.projector import Projector, ProjectorConfig
from workers.ranker.scoring import relo_ranker
from workers.ranker.scoring.relo_ranker import RankerConfig
from workers.ranker.stores.checkpoint import save_model

WIDTH = 32
SIZES = Sizes(name="chaos", dim=WIDTH, tower=(WIDTH, 2, 2), share=TINY.share)
SENTENCES = 12
SCENE, RATE, EDGE = 4, 2, 64  # seconds, frames a second, pixels


@dataclass(frozen=True, slots=True)
class World:
    """A built collection, clips that are not in it yet, and what is asked."""

    collection: Path
    spares: tuple[Path, ...]
    texts: tuple[str, ...]


def make(folder: Path, videos: int = 16, spares: int = 12) -> World:
    """Make the world in a folder, the same one for the same numbers; one that is there is used."""
    about = folder / "about.json"
    world = World(
        folder / "collection",
        tuple(folder / "spares" / f"spare-{number:02}.mp4" for number in range(spares)),
        tuple(models.texts(SENTENCES)),
    )
    wanted = json.dumps({"videos": videos, "spares": spares, "format": 2})
    if about.is_file() and about.read_text(encoding="utf-8") == wanted:
        return world
    shutil.rmtree(folder, ignore_errors=True)
    for number in range(videos):
        clip(folder / "videos" / f"video-{number:02}.mp4", 12 + 5 * number % 40, seed=number)
    for number, path in enumerate(world.spares):
        clip(path, 8 + 3 * number % 20, seed=1000 + number)
    _build(folder, world.collection)
    about.write_text(wanted, encoding="utf-8")
    return world


def clip(path: Path, seconds: int, seed: int) -> Path:
    """Write a video whose scenes are checks of random colours."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("mpeg4", rate=RATE)
        stream.width = stream.height = EDGE
        stream.pix_fmt = "yuv420p"
        for number in range(seconds * RATE):
            if number % (SCENE * RATE) == 0:
                colours = rng.integers(0, 256, (4, 4, 3), np.uint8)
            picture = np.kron(colours, np.ones((EDGE // 4, EDGE // 4, 1), np.uint8))
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def _build(folder: Path, collection: Path) -> None:
    encoder = models.write_encoder(folder / "models", SIZES)
    fingerprint = Encoder.load(str(encoder), "cpu").fingerprint
    stage1, stage2 = _random_models(collection / "models", fingerprint)
    at = ["--collection", str(collection)]
    spr("ingest", str(folder / "videos"), *at, "--encoder", str(encoder), "--fps", "1", "--device", "cpu")
    given = ["--shards", "2", "--projector", str(stage1), "--ranker", str(stage2), "--index", "flat"]
    spr("build", str(collection), *given, "--device", "cpu")


def _random_models(folder: Path, encoder: str) -> tuple[Path, Path]:
    """Write a projector and a ranker as they begin: what they answer is as hard to compute as any."""
    torch.manual_seed(7)
    stage1 = ProjectorConfig(dim=WIDTH, type="meanP", heads=2, layers=1)
    state = Projector(stage1).state_dict()
    save_model(folder / "projector" / "p", projector.KIND, stage1, state, encoder=encoder)
    model = ReloConfig(
        visual_dim=WIDTH,
        subtitle_dim=WIDTH,
        query_dim=WIDTH,
        hidden=16,
        heads=2,
        window=WindowConfig(clip_length=1.0),
    )
    config = RankerConfig(model=model)
    save_model(folder / "ranker" / "r", relo_ranker.KIND, config, Relo(model).state_dict(), encoder=encoder)
    return folder / "projector" / "p", folder / "ranker" / "r"


def spr(*arguments: str) -> Any:
    """Run a command of `spr` with --json; return what it prints."""
    done = subprocess.run([*SPR, *arguments, "--json"], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SprError(f"`spr {' '.join(arguments)}` failed: {done.stderr or done.stdout}", "COMMAND_FAILED")
    return json.loads(done.stdout.splitlines()[-1])
