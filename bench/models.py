"""Models of the published sizes with random weights, and texts to ask: what a service is benchmarked with."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bench.sizes import Sizes
from engine.types import Floats
from trainer.encoder.model import ModelShape, image_processor
from trainer.encoder.tokenizer import train_tokenizer
from workers.ranker.encoder.encoder import Encoder, quietly
from workers.ranker.model.relo import Relo, ReloConfig
from workers.ranker.model.windows import WindowConfig
from workers.ranker.projection.projector import KIND as PROJECTOR
from workers.ranker.projection.projector import Projector, ProjectorConfig
from workers.ranker.scoring.relo_ranker import KIND as RANKER
from workers.ranker.scoring.relo_ranker import RankerConfig
from workers.ranker.stores import checkpoint

CLIPS, CLIP_SECONDS = "clips", 1.5
WORDS = 14  # and two markers: sixteen tokens
_VOCABULARY = 49_408
_NAMES = (
    "a the red blue green tall short old young woman man girl boy dog cat car door chair table "
    "window lamp phone letter glass coat book box kitchen street office garden hall opens closes "
    "takes drops holds throws looks walks runs sits stands turns smiles waits calls slowly quickly "
    "twice away back again before after while near behind under over with from into "
).split()


def texts(count: int, seed: int = 0) -> list[str]:
    """Return distinct sentences of fourteen words."""
    rng = np.random.default_rng([seed, 10])
    made = dict.fromkeys(" ".join(rng.choice(_NAMES, WORDS)) for _ in range(2 * count))
    return list(made)[:count]


@dataclass(frozen=True, slots=True)
class Vision:
    """A vision tower: as published, or hardly one."""

    width: int
    inner: int
    layers: int
    heads: int
    image: int
    patch: int

    @property
    def config(self) -> dict[str, Any]:
        """Its part of transformers' CLIPConfig."""
        return {
            "hidden_size": self.width,
            "intermediate_size": self.inner,
            "num_hidden_layers": self.layers,
            "num_attention_heads": self.heads,
            "image_size": self.image,
            "patch_size": self.patch,
        }


NO_VISION = Vision(32, 32, 1, 2, 32, 16)
VIT_L_14 = Vision(1024, 4096, 24, 16, 224, 14)


def write_encoder(cache: Path, sizes: Sizes, vision: Vision = NO_VISION) -> Path:
    """Return the directory of a CLIP with a text tower of `sizes` and that vision tower, made once."""
    width, layers, heads = sizes.tower
    more = "" if vision == NO_VISION else f"-{vision.width}x{vision.layers}"
    folder = cache / f"clip-{width}x{layers}x{sizes.dim}{more}"
    if (folder / "model.safetensors").is_file():
        return folder
    from transformers import CLIPConfig
    from transformers.models.clip.modeling_clip import CLIPModel

    tokenizer = train_tokenizer(texts(1000), 2_000, 77, _VOCABULARY if width >= 512 else 0)
    start, end = tokenizer.bos_token_id, tokenizer.eos_token_id
    text: dict[str, Any] = {
        "hidden_size": width,
        "intermediate_size": 4 * width,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "vocab_size": len(tokenizer),
        "max_position_embeddings": 77,
        "bos_token_id": start,
        "eos_token_id": end,
        "pad_token_id": end,
    }
    shape = ModelShape(image=vision.image, patch=vision.patch)
    torch.manual_seed(0)
    model = CLIPModel(CLIPConfig(text_config=text, vision_config=vision.config, projection_dim=sizes.dim))
    _spread(model)
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    with quietly():
        for part in (model, tokenizer, image_processor(shape)):
            part.save_pretrained(partial)
    partial.rename(folder)
    return folder


def write_ranker(folder: Path, sizes: Sizes) -> str:
    """Write an untrained ranker of the published size; return its fingerprint."""
    torch.manual_seed(0)
    config = ranker_config(sizes)
    return checkpoint.save_model(folder, RANKER, RankerConfig(config), Relo(config).state_dict())


def ranker_config(sizes: Sizes) -> ReloConfig:
    """Return the published ranker's sizes, with features as wide as the corpus's."""
    return ReloConfig(
        visual_dim=sizes.dim,
        subtitle_dim=sizes.dim,
        query_dim=sizes.tower[0],
        hidden=sizes.dim,
        head_init="edge",
        window=WindowConfig(clip_length=CLIP_SECONDS, video_stream=CLIPS),
    )


def write_projector(folder: Path, encoder: Path, asked: list[str], wanted: Floats) -> str:
    """Write a projector that takes texts near the vectors (n, dim) wanted; return its fingerprint.

    An untrained text tower puts all sentences into one corner; so the searches would all find the same. The
    projector's one matrix is the ridge regression from what the tower says to queries of the corpus.
    """
    if not (folder / checkpoint.MODEL_FILE).is_file():
        pooled = Encoder.load(str(encoder), "cpu").text(asked).pooled.astype(np.float64)
        kernel = pooled @ pooled.T
        kernel[np.diag_indices(len(kernel))] *= 1 + 1e-4
        weight = wanted.T.astype(np.float64) @ np.linalg.solve(kernel, pooled)
        config = ProjectorConfig(dim=pooled.shape[1], type="meanP")
        projector = Projector(config)
        state = projector.state_dict()
        state["qfeat_proj.weight"] = torch.from_numpy(weight.astype(np.float32))
        state["qfeat_proj.bias"] = torch.zeros(pooled.shape[1])
        checkpoint.save_model(folder, PROJECTOR, config, state)
    return checkpoint.read_card(folder).fingerprint


def _spread(model: Any) -> None:
    # transformers starts so small that all sentences give the same vector; a trained tower does not.
    with torch.no_grad():
        model.text_model.embeddings.token_embedding.weight.normal_(0, 1)
        for layer in model.text_model.encoder.layers:
            layer.self_attn.q_proj.weight.mul_(3)
            layer.self_attn.v_proj.weight.mul_(3)
