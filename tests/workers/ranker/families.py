"""Tiny random models of every family of encoders, with tokenizers of the kinds that published ones have."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from tests.workers.ranker.encoders import LONGEST, TEXTS, gemma, tiny_siglip
from tests.workers.ranker.factories import tiny_clip

SIDE, WIDTH, PROJECTED, PATCHES = 16, 32, 24, 9
_SIZES: dict[str, Any] = {
    "hidden_size": WIDTH,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
}
_VISION: dict[str, Any] = {**_SIZES, "image_size": SIDE, "patch_size": 8}
_WORDS = sorted({word for text in TEXTS for word in text.split()})
_LETTERS = [*"abcdefghijklmnopqrstuvwxyz"]


def make(family: str, folder: Path) -> Path:
    """Save a tiny model of a `model_type`, its tokenizer and its image processor into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    return _MAKERS[family](folder)


def _saved(folder: Path, model: Any, tokenizer: Any, processor: Any) -> Path:
    for part in (model, tokenizer, processor):
        part.save_pretrained(folder)
    return folder


def _square(kind: str, **options: Any) -> Any:
    from transformers.models.chinese_clip.image_processing_pil_chinese_clip import (
        ChineseCLIPImageProcessorPil,
    )
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    size = {"height": SIDE, "width": SIDE}
    if kind == "chinese":
        return ChineseCLIPImageProcessorPil(size=size, do_center_crop=False, **options)
    return CLIPImageProcessorPil(size={"shortest_edge": SIDE}, crop_size=size, **options)


def _xlm_roberta() -> Any:
    from transformers import XLMRobertaTokenizer

    pieces = ["▁", *("▁" + word for word in _WORDS), *_LETTERS]
    marks = [(mark, 0.0) for mark in ("<s>", "<pad>", "</s>", "<unk>")]
    return XLMRobertaTokenizer(vocab=[*marks, *((piece, -2.0) for piece in pieces), ("<mask>", 0.0)])


def _marks(tokenizer: Any) -> dict[str, Any]:
    names = ("bos", "eos", "pad")
    return {f"{name}_token_id": getattr(tokenizer, f"{name}_token_id") for name in names}


def _text(tokenizer: Any, **options: Any) -> dict[str, Any]:
    return {
        **_SIZES,
        **_marks(tokenizer),
        "vocab_size": len(tokenizer),
        "max_position_embeddings": LONGEST,
        **options,
    }


def _siglip2(folder: Path) -> Path:
    from transformers.models.siglip2.configuration_siglip2 import Siglip2Config
    from transformers.models.siglip2.image_processing_pil_siglip2 import Siglip2ImageProcessorPil
    from transformers.models.siglip2.modeling_siglip2 import Siglip2Model

    tokenizer = gemma("Siglip2Tokenizer")
    vision = {**_SIZES, "patch_size": 8, "num_patches": PATCHES}
    model = Siglip2Model(Siglip2Config(text_config=_text(tokenizer), vision_config=vision))
    processor = Siglip2ImageProcessorPil(patch_size=8, max_num_patches=PATCHES)
    return _saved(folder, model, tokenizer, processor)


def _metaclip(folder: Path) -> Path:
    from transformers.models.metaclip_2.configuration_metaclip_2 import MetaClip2Config
    from transformers.models.metaclip_2.modeling_metaclip_2 import MetaClip2Model

    tokenizer = _xlm_roberta()
    assert tokenizer.eos_token_id == 2  # as published, where CLIP of that number pools elsewhere
    config = MetaClip2Config(text_config=_text(tokenizer), vision_config=_VISION, projection_dim=PROJECTED)
    return _saved(folder, MetaClip2Model(config), tokenizer, _square("clip"))


def _chinese(folder: Path) -> Path:
    from transformers import BertTokenizer
    from transformers.models.chinese_clip.configuration_chinese_clip import ChineseCLIPConfig
    from transformers.models.chinese_clip.modeling_chinese_clip import ChineseCLIPModel

    marks = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    endings = [f"##{letter}" for letter in _LETTERS]
    words = [
        *marks,
        *_WORDS,
        *(letter for letter in _LETTERS if letter not in _WORDS),
        *endings,
        *"红球一个人",
    ]
    tokenizer = BertTokenizer(vocab={word: row for row, word in enumerate(words)})
    text = {**_text(tokenizer), "bos_token_id": 0, "eos_token_id": None}
    config = ChineseCLIPConfig(text_config=text, vision_config=_VISION, projection_dim=PROJECTED)
    return _saved(folder, ChineseCLIPModel(config), tokenizer, _square("chinese"))


def _altclip(folder: Path) -> Path:
    from transformers.models.altclip.configuration_altclip import AltCLIPConfig
    from transformers.models.altclip.modeling_altclip import AltCLIPModel

    tokenizer = _xlm_roberta()
    text = _text(tokenizer, project_dim=20, max_position_embeddings=LONGEST + 2)
    config = AltCLIPConfig(text_config=text, vision_config=_VISION, projection_dim=PROJECTED)
    return _saved(folder, AltCLIPModel(config), tokenizer, _square("clip"))


def _aimv2(folder: Path) -> Path:
    from transformers import CLIPTokenizer
    from transformers.models.aimv2.configuration_aimv2 import Aimv2Config
    from transformers.models.aimv2.modeling_aimv2 import Aimv2Model

    tokenizer = CLIPTokenizer.from_pretrained(tiny_clip(folder / "clip"))
    text = {**_SIZES, "vocab_size": len(tokenizer), "max_position_embeddings": LONGEST}
    text["eos_token_id"] = tokenizer.eos_token_id
    config = Aimv2Config(text_config=text, vision_config=_VISION, projection_dim=PROJECTED)
    return _saved(folder, Aimv2Model(config), tokenizer, _square("clip"))


def _tips(folder: Path) -> Path:
    import json

    from transformers.models.tipsv2.configuration_tipsv2 import Tipsv2Config
    from transformers.models.tipsv2.modeling_tipsv2 import Tipsv2Model
    from transformers.models.tipsv2.tokenization_tipsv2 import Tipsv2Tokenizer

    pieces = ["<pad>", "<unk>", *(f"<0x{byte:02X}>" for byte in range(256)), "▁", *_LETTERS]
    tokenizer = Tipsv2Tokenizer(vocab={piece: row for row, piece in enumerate(pieces)}, merges=[])
    vision = {**_VISION, "mlp_ratio": 2}
    config = Tipsv2Config(text_config=_text(tokenizer), vision_config=vision)
    for part in (Tipsv2Model(config), tokenizer):
        part.save_pretrained(folder)
    # Its own image processor needs torchvision, so its file is written out; what it lacks is the family's.
    size = {"height": SIDE, "width": SIDE}
    about = {"image_processor_type": "Tipsv2ImageProcessor", "size": size}
    (folder / "preprocessor_config.json").write_text(json.dumps(about))
    return folder


_MAKERS: dict[str, Callable[[Path], Path]] = {
    "clip": tiny_clip,
    "siglip": lambda folder: tiny_siglip(folder, "Siglip2Tokenizer"),
    "siglip2": _siglip2,
    "metaclip_2": _metaclip,
    "chinese_clip": _chinese,
    "altclip": _altclip,
    "aimv2": _aimv2,
    "tipsv2": _tips,
}
