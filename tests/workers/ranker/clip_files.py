"""The files of a tiny random CLIP, made once a process."""

import functools
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from trainer.encoder.tokenizer import train_tokenizer

TEXTS = ["a red ball bounces", "a blue square moves to the left", "something spins"]


@functools.cache
def clip_files(seed: int, width: int) -> tuple[Mapping[str, bytes], torch.Tensor]:
    """Return the files by name, and the state of torch's generator after they were made."""
    with tempfile.TemporaryDirectory() as made:
        _save_clip(Path(made), seed, width)
        return {path.name: path.read_bytes() for path in Path(made).iterdir()}, torch.get_rng_state()


def _save_clip(folder: Path, seed: int, width: int) -> None:
    from transformers.models.clip.configuration_clip import CLIPConfig
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
    from transformers.models.clip.modeling_clip import CLIPModel

    torch.manual_seed(seed)
    tokenizer = train_tokenizer(TEXTS, 600, 24)
    sizes: dict[str, Any] = {
        "hidden_size": width,
        "intermediate_size": 2 * width,
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
    model = CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=width))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    size = {"height": 16, "width": 16}
    CLIPImageProcessorPil(size={"shortest_edge": 16}, crop_size=size).save_pretrained(folder)
