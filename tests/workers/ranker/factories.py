"""A tiny random CLIP and a tiny collection with one generation, for tests of the ranker worker."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from engine.manifest import EncoderEntry, Manifest, ModelEntry, ShardEntry, StreamEntry

from engine import manifest
from trainer.encoder.tokenizer import train_tokenizer
from workers.feature_store.store import FeatureStore, Stream
from workers.ranker.encoder.encoder import Encoder
from workers.ranker.model.relo import Relo, ReloConfig
from workers.ranker.model.whole import encode_videos
from workers.ranker.model.windows import WindowConfig
from workers.ranker.models import Models
from workers.ranker.projection import projector
from workers.ranker.projection.projector import Projector, ProjectorConfig
from workers.ranker.scoring import relo_ranker
from workers.ranker.scoring.relo_ranker import RankerConfig, ReloRanker
from workers.ranker.stores.checkpoint import save_model
from workers.ranker.stores.contexts import write_encoded
from workers.ranker.stores.features import DIRECTORY, FRAMES, SUBTITLES, write_context

WIDTH = 32
TEXTS = ["a red ball bounces", "a blue square moves to the left", "something spins"]
VIDEOS = {"a": 40, "b": 25, "c": 3}


def tiny_clip(folder: Path, seed: int = 0) -> Path:
    """Save a random CLIP of 16 pixels and two layers as a Hugging Face directory."""
    from transformers.models.clip.configuration_clip import CLIPConfig
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
    from transformers.models.clip.modeling_clip import CLIPModel

    torch.manual_seed(seed)
    tokenizer = train_tokenizer(TEXTS, 600, 24)
    sizes: dict[str, Any] = {
        "hidden_size": WIDTH,
        "intermediate_size": 2 * WIDTH,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
    }
    text = {
        **sizes,
        "vocab_size": len(tokenizer),
        "max_position_embeddings": 24,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    vision = {**sizes, "image_size": 16, "patch_size": 8}
    model = CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=WIDTH))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    size = {"height": 16, "width": 16}
    CLIPImageProcessorPil(size={"shortest_edge": 16}, crop_size=size).save_pretrained(folder)
    return folder


def tiny_generation(
    collection: Path, *, trained: bool, fingerprint: str = "", ranker_width: int = WIDTH
) -> Path:
    """Build a generation of VIDEOS, with a random projector and ranker if `trained`; return its directory.

    fingerprint: what the manifest says the encoder's is, in place of the truth. ranker_width: of the frame
    features that the ranker reads.
    """
    encoder = Encoder.load(str(tiny_clip(collection / "models" / "encoder" / "tiny")), "cpu")
    generation = collection / "generations" / "building"
    write_context(generation / DIRECTORY, _features(collection, encoder), sorted(VIDEOS))
    made = (
        {"projector": _projector(collection), "ranker": _ranker(collection, ranker_width)} if trained else {}
    )
    files = [f"{DIRECTORY}/{path.name}" for path in (generation / DIRECTORY).iterdir()]
    name = fingerprint or encoder.fingerprint
    projected = made["projector"].fingerprint if trained else None
    about = Manifest(
        id="",
        created="2025-01-01T00:00:00Z",
        collection="default",
        encoder=EncoderEntry("models/encoder/tiny", name),
        projector=made.get("projector"),
        ranker=made.get("ranker"),
        embedding_model=manifest.embedding_model(name, projected),
        dim=WIDTH,
        segment_length=4.0,
        factory="Flat",
        quantizer_sha256="",
        videos=len(VIDEOS),
        segments=18,
        shards=(ShardEntry("shard-00000", len(VIDEOS), 18),),
        streams={stream: StreamEntry(WIDTH, 1.0, "float16") for stream in (FRAMES, SUBTITLES)},
        files=manifest.describe_files(generation, files),
    )
    return named(generation, about)


def with_contexts(collection: Path) -> Path:
    """Build a trained generation with stored contexts; return its directory."""
    made = tiny_generation(collection, trained=True)
    models = Models.open(made, "cpu")
    assert isinstance(models.ranker, ReloRanker)
    assert not models.ranker.batched
    videos = encode_videos(models.ranker.model, models.features, torch.device("cpu"))
    write_encoded(made / "encoded", 16, 1.0, "float16", videos, models.ranker.fingerprint)
    return described(made)


def described(generation: Path) -> Path:
    """Write the manifest of a generation whose features or contexts have changed; return its directory."""
    names = [
        str(path.relative_to(generation))
        for folder in ("context", "encoded")
        for path in generation.glob(f"{folder}/*")
    ]
    about = replace(manifest.read(generation), files=manifest.describe_files(generation, names))
    return named(generation, about)


def named(generation: Path, about: Manifest) -> Path:
    """Write a generation's manifest, give the directory its name, make it current; return the directory."""
    about = manifest.write(generation, about)
    directory = generation.rename(generation.with_name(about.id))
    manifest.activate(directory.parent.parent, about.id)
    return directory


def _features(collection: Path, encoder: Encoder) -> FeatureStore:
    """Noise in which video "a" shows TEXTS[0] from second 12 to 20."""
    random = np.random.default_rng(0)
    shown = encoder.text([TEXTS[0]]).pooled[0]
    streams = {FRAMES: Stream(WIDTH, 1.0), SUBTITLES: Stream(WIDTH, 1.0)}
    folder = collection / "features" / encoder.fingerprint
    with FeatureStore.create(folder, streams, "float16") as store:
        for video, seconds in VIDEOS.items():
            frames = 0.3 * random.normal(size=(seconds, WIDTH)) * np.linalg.norm(shown) / np.sqrt(WIDTH)
            if video == "a":
                frames[12:20] += shown
            arrays = {FRAMES: frames, SUBTITLES: np.zeros((seconds, WIDTH))}
            store.append(video, arrays, duration=float(seconds))
    return FeatureStore.open(folder)


def _projector(collection: Path) -> ModelEntry:
    torch.manual_seed(1)
    config = ProjectorConfig(dim=WIDTH, type="meanP", heads=2, layers=1)
    folder = collection / "models" / "projector" / "p"
    name = save_model(folder, projector.KIND, config, Projector(config).state_dict())
    return ModelEntry("models/projector/p", name)


def _ranker(collection: Path, visual_dim: int) -> ModelEntry:
    torch.manual_seed(2)
    model = ReloConfig(
        visual_dim=visual_dim,
        subtitle_dim=WIDTH,
        query_dim=WIDTH,
        hidden=16,
        heads=2,
        window=WindowConfig(clip_length=1.0),
    )
    folder = collection / "models" / "ranker" / "r"
    name = save_model(folder, relo_ranker.KIND, RankerConfig(model=model), Relo(model).state_dict())
    return ModelEntry("models/ranker/r", name)
