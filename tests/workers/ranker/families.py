"""Tiny random models of every family of encoders, with tokenizers of the kinds that published ones have."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from tokenizers import pre_tokenizers

from tests.workers.ranker import pe_av
from tests.workers.ranker.encoders import LONGEST, gemma, tiny_siglip
from tests.workers.ranker.factories import tiny_clip
from tests.workers.ranker.family_parts import (
    CHINESE,
    CLIP_FRAMES,
    LETTERS,
    PATCHES,
    PROJECTED,
    SIDE,
    SIZES,
    VISION,
    WIDTH,
    WORDS,
    text_part,
)


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

    pieces = ["▁", *("▁" + word for word in WORDS), *LETTERS, *CHINESE]
    marks = [(mark, 0.0) for mark in ("<s>", "<pad>", "</s>", "<unk>")]
    return XLMRobertaTokenizer(vocab=[*marks, *((piece, -2.0) for piece in pieces), ("<mask>", 0.0)])


def _siglip2(folder: Path) -> Path:
    from transformers.models.siglip2.configuration_siglip2 import Siglip2Config
    from transformers.models.siglip2.image_processing_pil_siglip2 import Siglip2ImageProcessorPil
    from transformers.models.siglip2.modeling_siglip2 import Siglip2Model

    tokenizer = gemma("Siglip2Tokenizer")
    vision = {**SIZES, "patch_size": 8, "num_patches": PATCHES}
    model = Siglip2Model(Siglip2Config(text_config=text_part(tokenizer), vision_config=vision))
    processor = Siglip2ImageProcessorPil(patch_size=8, max_num_patches=PATCHES)
    return _saved(folder, model, tokenizer, processor)


def _metaclip(folder: Path) -> Path:
    from transformers.models.metaclip_2.configuration_metaclip_2 import MetaClip2Config
    from transformers.models.metaclip_2.modeling_metaclip_2 import MetaClip2Model

    tokenizer = _xlm_roberta()
    assert tokenizer.eos_token_id == 2  # as published, where CLIP of that number pools elsewhere
    config = MetaClip2Config(text_config=text_part(tokenizer), vision_config=VISION, projection_dim=PROJECTED)
    return _saved(folder, MetaClip2Model(config), tokenizer, _square("clip"))


def _chinese(folder: Path) -> Path:
    from transformers import BertTokenizer
    from transformers.models.chinese_clip.configuration_chinese_clip import ChineseCLIPConfig
    from transformers.models.chinese_clip.modeling_chinese_clip import ChineseCLIPModel

    marks = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    endings = [f"##{letter}" for letter in LETTERS]
    words = [
        *marks,
        *WORDS,
        *(letter for letter in LETTERS if letter not in WORDS),
        *endings,
        *"红球一个人",
    ]
    tokenizer = BertTokenizer(vocab={word: row for row, word in enumerate(words)})
    text = {**text_part(tokenizer), "bos_token_id": 0, "eos_token_id": None}
    config = ChineseCLIPConfig(text_config=text, vision_config=VISION, projection_dim=PROJECTED)
    return _saved(folder, ChineseCLIPModel(config), tokenizer, _square("chinese"))


def _altclip(folder: Path) -> Path:
    from transformers.models.altclip.configuration_altclip import AltCLIPConfig
    from transformers.models.altclip.modeling_altclip import AltCLIPModel

    tokenizer = _xlm_roberta()
    text = text_part(tokenizer, project_dim=20, max_position_embeddings=LONGEST + 2)
    config = AltCLIPConfig(text_config=text, vision_config=VISION, projection_dim=PROJECTED)
    return _saved(folder, AltCLIPModel(config), tokenizer, _square("clip"))


def _aimv2(folder: Path) -> Path:
    from transformers import CLIPTokenizer
    from transformers.models.aimv2.configuration_aimv2 import Aimv2Config
    from transformers.models.aimv2.modeling_aimv2 import Aimv2Model

    tokenizer = CLIPTokenizer.from_pretrained(tiny_clip(folder / "clip"))
    text = {**SIZES, "vocab_size": len(tokenizer), "max_position_embeddings": LONGEST}
    text["eos_token_id"] = tokenizer.eos_token_id
    config = Aimv2Config(text_config=text, vision_config=VISION, projection_dim=PROJECTED)
    return _saved(folder, Aimv2Model(config), tokenizer, _square("clip"))


def _xclip(folder: Path) -> Path:
    from transformers import CLIPTokenizer
    from transformers.models.x_clip.configuration_x_clip import XCLIPConfig
    from transformers.models.x_clip.modeling_x_clip import XCLIPModel

    tokenizer = CLIPTokenizer.from_pretrained(tiny_clip(folder / "clip"))
    mit = {"mit_hidden_size": PROJECTED, "mit_intermediate_size": 32, "mit_num_attention_heads": 2}
    vision = {**VISION, **mit, "num_frames": CLIP_FRAMES, "mit_num_hidden_layers": 1}
    prompts = {"prompt_layers": 1, "prompt_num_attention_heads": 2}
    config = XCLIPConfig(
        text_config=text_part(tokenizer), vision_config=vision, projection_dim=PROJECTED, **prompts
    )
    return _saved(folder, XCLIPModel(config), tokenizer, _square("clip"))


def _videoprism(folder: Path) -> Path:
    from transformers.models.videoprism.configuration_videoprism import VideoPrismConfig
    from transformers.models.videoprism.modeling_videoprism import VideoPrismClipModel
    from transformers.models.videoprism.tokenization_videoprism import VideoPrismTokenizer

    pieces = ["▁", *("▁" + word for word in WORDS), *LETTERS]
    marks = [(mark, 0.0) for mark in ("<pad>", "</s>", "<unk>")]
    extra = [(f"<extra_id_{row}>", 0.0) for row in range(99, -1, -1)]
    tokenizer = VideoPrismTokenizer(vocab=[*marks, *((piece, -2.0) for piece in pieces), *extra])
    layers = {"num_spatial_layers": 1, "num_temporal_layers": 1, "num_auxiliary_layers": 1}
    vision = {**VISION, **layers, "tubelet_size": (1, 8, 8), "num_frames": CLIP_FRAMES}
    for name in ("patch_size", "num_hidden_layers"):
        vision.pop(name)
    text = {**text_part(tokenizer), "bos_token_id": None}
    model = VideoPrismClipModel(VideoPrismConfig(text_config=text, vision_config=vision))
    return _without_processor(folder, model, tokenizer, "VideoPrismVideoProcessor")


def _qwen(folder: Path) -> Path:
    from transformers import Qwen2Tokenizer
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil
    from transformers.models.qwen3_vl.configuration_qwen3_vl import Qwen3VLConfig
    from transformers.models.qwen3_vl.modeling_qwen3_vl import Qwen3VLModel

    letters = [*pre_tokenizers.ByteLevel.alphabet()]
    marks = ["im_start", "im_end", "vision_start", "vision_end", "image_pad", "video_pad", "endoftext"]
    tokenizer = Qwen2Tokenizer(
        vocab={letter: row for row, letter in enumerate(sorted(letters))},
        merges=[],
        additional_special_tokens=[f"<|{mark}|>" for mark in marks],
    )
    ids = dict(zip(marks, tokenizer.convert_tokens_to_ids([f"<|{mark}|>" for mark in marks]), strict=True))
    text = {**SIZES, "vocab_size": len(tokenizer), "max_position_embeddings": 600, "head_dim": 16}
    text |= {"num_key_value_heads": 1, "pad_token_id": ids["endoftext"]}
    text["rope_parameters"] = {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [4, 2, 2]}
    vision: dict[str, Any] = {"depth": 2, "hidden_size": WIDTH, "intermediate_size": 64, "num_heads": 2}
    vision["patch_size"] = 8
    vision |= {"out_hidden_size": WIDTH, "num_position_embeddings": 16, "deepstack_visual_indexes": [0]}
    named = {f"{name}_token_id": ids[mark] for name, mark in _QWEN_MARKS.items()}
    model = Qwen3VLModel(Qwen3VLConfig(text_config=text, vision_config=vision, **named))
    processor = Qwen2VLImageProcessorPil(
        patch_size=8,
        size={"shortest_edge": 256, "longest_edge": 4096},
        image_mean=[0.5] * 3,
        image_std=[0.5] * 3,
    )
    return _saved(folder, model, tokenizer, processor)


_QWEN_MARKS = {
    "image": "image_pad",
    "video": "video_pad",
    "vision_start": "vision_start",
    "vision_end": "vision_end",
}


def _tips(folder: Path) -> Path:
    from transformers.models.tipsv2.configuration_tipsv2 import Tipsv2Config
    from transformers.models.tipsv2.modeling_tipsv2 import Tipsv2Model
    from transformers.models.tipsv2.tokenization_tipsv2 import Tipsv2Tokenizer

    pieces = ["<pad>", "<unk>", *(f"<0x{byte:02X}>" for byte in range(256)), "▁", *LETTERS]
    tokenizer = Tipsv2Tokenizer(vocab={piece: row for row, piece in enumerate(pieces)}, merges=[])
    vision = {**VISION, "mlp_ratio": 2}
    config = Tipsv2Config(text_config=text_part(tokenizer), vision_config=vision)
    return _without_processor(folder, Tipsv2Model(config), tokenizer, "Tipsv2ImageProcessor")


def _without_processor(folder: Path, model: Any, tokenizer: Any, name: str) -> Path:
    """Save a model whose own image processor needs torchvision; what its file lacks is the family's."""
    for part in (model, tokenizer):
        part.save_pretrained(folder)
    about = {"image_processor_type": name, "size": {"height": SIDE, "width": SIDE}}
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
    "xclip": _xclip,
    "videoprism": _videoprism,
    "pe_video": pe_av.video_model,
    "pe_audio_video": pe_av.audio_video_model,
    "qwen3_vl": _qwen,
}
