"""Sizes and words of the tiny models of encoders' families."""

from typing import Any

from tests.workers.ranker.encoders import LONGEST, TEXTS

SIDE, WIDTH, PROJECTED, PATCHES, CLIP_FRAMES = 16, 32, 24, 9, 8
SIZES: dict[str, Any] = {
    "hidden_size": WIDTH,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
}
VISION: dict[str, Any] = {**SIZES, "image_size": SIDE, "patch_size": 8}
WORDS = sorted({word for text in TEXTS for word in text.split()})
CHINESE = "红球一个人"
LETTERS = [*"abcdefghijklmnopqrstuvwxyz"]


def _marks(tokenizer: Any) -> dict[str, Any]:
    names = ("bos", "eos", "pad")
    return {f"{name}_token_id": getattr(tokenizer, f"{name}_token_id") for name in names}


def text_part(tokenizer: Any, **options: Any) -> dict[str, Any]:
    """Return a text tower's configuration for a tokenizer."""
    return {
        **SIZES,
        **_marks(tokenizer),
        "vocab_size": len(tokenizer),
        "max_position_embeddings": LONGEST,
        **options,
    }
