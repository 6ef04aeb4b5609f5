"""A model's parts, read from its directory."""

from pathlib import Path
from typing import Any

import torch

from engine.errors import InvalidInput, Mismatch
from workers.ranker.encoder import damage
from workers.ranker.encoder.chat_model import ChatModel
from workers.ranker.encoder.families import FAMILIES, OPEN_CLIP
from workers.ranker.encoder.image_transform import ImageTransform, transform_of


def load_parts(folder: Path, kind: str) -> tuple[Any, Any, ImageTransform]:
    """Return (model, tokenizer, transform), importing only the classes of this kind."""
    if kind == OPEN_CLIP:
        from workers.ranker.encoder.open_clip_model import load_open_clip

        return load_open_clip(folder)
    from transformers import AutoTokenizer

    family = FAMILIES[kind]
    model_class = family.model_class()
    local = {"local_files_only": True}
    try:
        model, report = model_class.from_pretrained(
            folder, use_safetensors=True, dtype=torch.float32, output_loading_info=True, **local
        )
        tokenizer = AutoTokenizer.from_pretrained(folder, **local)
        processor = family.image_processor(folder)
    except Exception as error:  # transformers raises whatever its parsers raise
        raise Mismatch(damage.told(folder, error)) from error
    # Of its training alone: similarities here are cosines.
    if missing := sorted({*report["missing_keys"]} - {"logit_scale", "logit_bias", "temperature"}):
        raise Mismatch(f"{folder} lacks {len(missing)} weights, such as {missing[0]}; save the model again.")
    family.repair(model)
    read = ChatModel(model, tokenizer) if family.chat else model
    return read, tokenizer, transform_of(processor, str(folder))


def pick_dtype(dtype: str, device: torch.device) -> torch.dtype:
    """Return the number type named; "auto" is float16 on CUDA and float32 elsewhere."""
    kinds = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
    kinds["auto"] = torch.float16 if device.type == "cuda" else torch.float32
    if dtype not in kinds:
        raise InvalidInput(f"Number type {dtype!r} is unknown; use one of {', '.join(sorted(kinds))}.")
    return kinds[dtype]
