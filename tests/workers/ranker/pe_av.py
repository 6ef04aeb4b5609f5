"""Tiny PE-AV models, and what transformers' own classes make of texts and clips with them: by forward."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tests.workers.ranker.family_parts import (
    CLIP_FRAMES,
    LETTERS,
    PROJECTED,
    SIDE,
    SIZES,
    WIDTH,
    WORDS,
    text_part,
)

try:
    import timm
except (ImportError, RuntimeError) as error:
    timm, why = None, str(error)
else:
    why = ""


def skip_without_timm() -> None:
    """Skip the test that asks where timm cannot be imported."""
    if timm is None:
        pytest.skip(f"timm cannot be imported: {why}")


def text_features(folder: str, text: str) -> tuple[Any, int]:
    """Return a text's pooled features and the states of its tokens, and how many it has."""
    from transformers import AutoTokenizer

    inputs = AutoTokenizer.from_pretrained(folder)(text, return_tensors="pt", return_token_type_ids=False)
    out = _forward(folder, torch.zeros(1, 1, 3, 16, 16), **inputs)
    states = out.text_outputs.last_hidden_state
    found = SimpleNamespace(pooler_output=out.text_video_embeds, last_hidden_state=states)
    return found, int(inputs["attention_mask"].sum())


def video_features(folder: str, videos: torch.Tensor) -> torch.Tensor:
    """Return the features of clips (n, frames, 3, height, width)."""
    found: torch.Tensor = _forward(folder, videos, input_ids=torch.tensor([[1, 2]])).video_embeds
    return found


def _forward(folder: str, videos: torch.Tensor, **text: torch.Tensor) -> Any:
    model = _model(Path(folder))
    with torch.inference_mode():
        # The one that hears asks its video model where nothing is heard, and cannot say the whole of it.
        return getattr(model, "video_model", model)(pixel_values_videos=videos, **text)


def _model(folder: Path) -> Any:
    """Build the class that a directory names and fill in its weights, which from_pretrained fails at.

    (transformers 5.23 with timm 1.0.31: it takes a buffer of timm's for a tied weight.)
    """
    from transformers import AutoConfig, AutoModel

    model = AutoModel.from_config(AutoConfig.from_pretrained(folder))
    weights = load_file(folder / "model.safetensors")
    assert not model.load_state_dict(weights, strict=False).unexpected_keys
    model.tie_weights()
    return model.eval()


# A video transformer's sizes, as of transformers' Qwen3 layers.
_HEADED = {**SIZES, "head_dim": 16}


def _text(tokenizer: Any) -> dict[str, Any]:
    marks = {"bos_token_id": tokenizer.cls_token_id, "eos_token_id": tokenizer.sep_token_id}
    marks |= {"cls_token_id": tokenizer.cls_token_id, "sep_token_id": tokenizer.sep_token_id}
    return {**text_part(tokenizer), **marks, "model_type": "modernbert"}


def _tower() -> dict[str, Any]:
    """Return a video tower of timm's smallest vision transformer of the published kind."""
    smaller = {"img_size": SIDE, "patch_size": 8, "embed_dim": WIDTH, "depth": 1, "num_heads": 2}
    named = {"architecture": "vit_pe_core_tiny_patch16_384", "num_classes": PROJECTED, "label_names": []}
    vision = {**named, "global_pool": "map", "model_args": {**smaller, "ref_feat_shape": (2, 2)}}
    return {**_HEADED, "vision_config": {"model_type": "timm_wrapper", "do_pooling": True, **vision}}


def _tokenizer() -> Any:
    from transformers import BertTokenizer

    marks = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    letters = [*(letter for letter in LETTERS if letter not in WORDS), *(f"##{one}" for one in LETTERS)]
    return BertTokenizer(vocab={word: row for row, word in enumerate([*marks, *WORDS, *letters])})


def video_model(folder: Path) -> Path:
    """Save a tiny model that sees alone."""
    from transformers.models.pe_video.configuration_pe_video import PeVideoConfig
    from transformers.models.pe_video.modeling_pe_video import PeVideoModel

    tokenizer = _tokenizer()
    model = PeVideoModel(PeVideoConfig(text_config=_text(tokenizer), video_config=_tower()))
    return _saved(folder, model, tokenizer)


def audio_video_model(folder: Path) -> Path:
    """Save a tiny model that sees and hears."""
    from transformers.models.pe_audio_video.configuration_pe_audio_video import PeAudioVideoConfig
    from transformers.models.pe_audio_video.modeling_pe_audio_video import PeAudioVideoModel

    tokenizer = _tokenizer()
    codec = {"encoder_hidden_size": 8, "downsampling_ratios": [2, 2], "hidden_size": 32, "codebook_dim": 4}
    audio = {**_HEADED, "dac_config": {"model_type": "dac", **codec}}
    both = {**_HEADED, "audio_config": audio, "video_config": _tower()}
    model = PeAudioVideoModel(PeAudioVideoConfig(text_config=_text(tokenizer), audio_video_config=both))
    return _saved(folder, model, tokenizer)


def _saved(folder: Path, model: Any, tokenizer: Any) -> Path:
    """Save a model whose preprocessor_config.json is that of what it hears."""
    for part in (model, tokenizer):
        part.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps({"sampling_rate": 48000}))
    about = {"size": {"height": SIDE, "width": SIDE}, "num_frames": CLIP_FRAMES}
    (folder / "video_preprocessor_config.json").write_text(json.dumps(about))
    return folder
