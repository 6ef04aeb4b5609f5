"""A model's parts, read from its directory."""

import re
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch

from engine.errors import InvalidInput, Mismatch
from workers.ranker.encoder import damage
from workers.ranker.encoder.chat_model import ChatModel
from workers.ranker.encoder.families import FAMILIES, OPEN_CLIP
from workers.ranker.encoder.image_transform import ImageTransform, transform_of
from workers.ranker.encoder.pe_video_model import PeVideoModel, frames_of, read_pe_video

# Of training alone, for similarities here are cosines; and of another task than pooling token states.
_SPARE = ("logit_scale", "logit_bias", "temperature", "pooler.")
# Of a layer, in the name of a weight.
_NUMBER = re.compile(r"(?<=\.)\d+(?=\.)")


def load_parts(folder: Path, kind: str) -> tuple[Any, Any, ImageTransform]:
    """Return (model, tokenizer, transform), importing only the classes of this kind."""
    with damage.refusing(folder):
        if kind == OPEN_CLIP:
            from workers.ranker.encoder.open_clip_model import load_open_clip

            return load_open_clip(folder)
        from transformers import AutoTokenizer

        family, local = FAMILIES[kind], {"local_files_only": True}
        model_class = family.model_class()
        read = partial(read_pe_video, model_class) if family.timm else model_class.from_pretrained
        model, report = read(
            folder, use_safetensors=True, dtype=torch.float32, output_loading_info=True, **local
        )
        tokenizer = AutoTokenizer.from_pretrained(folder, **local)
        processor = family.image_processor(folder)
        transform = transform_of(processor, str(folder))
        check_weights(model, report, folder)
        family.repair(model)
        if family.chat:
            model = ChatModel(model, tokenizer)
        elif family.timm:
            model = PeVideoModel(model, frames_of(processor, folder))
        return model, tokenizer, transform


def check_weights(model: Any, report: Mapping[str, Iterable[str]], folder: Path) -> None:
    """Raise Mismatch where weights are missing, or more layers of a kind are there than config.json says.

    report: of what transformers loaded.
    """
    if missing := sorted(name for name in report["missing_keys"] if not name.startswith(_SPARE)):
        raise Mismatch(f"{folder} lacks {len(missing)} weights, such as {missing[0]}; save the model again.")
    kinds = {_NUMBER.sub("#", name) for name in model.state_dict()}
    if more := sorted(name for name in report["unexpected_keys"] if _NUMBER.sub("#", name) in kinds):
        raise Mismatch(
            f"{folder} has weights of more layers than config.json says, such as {more[0]}; save or fetch "
            "the model again."
        )


def pick_dtype(dtype: str, device: torch.device) -> torch.dtype:
    """Return the number type named; "auto" is float16 on CUDA and float32 elsewhere."""
    kinds = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
    kinds["auto"] = torch.float16 if device.type == "cuda" else torch.float32
    if dtype not in kinds:
        raise InvalidInput(f"Number type {dtype!r} is unknown; use one of {', '.join(sorted(kinds))}.")
    return kinds[dtype]
