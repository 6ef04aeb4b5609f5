"""Random sentence encoders of two layers, as sentence-transformers lays them out."""

import json
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing

WORDS = "a red ball bounces the blue square moves left something spins query passage :".split()
LENGTH = 24
FAMILIES = ("bert", "xlm-roberta", "mpnet", "distilbert")


def tiny_sentences(
    folder: Path,
    family: str = "bert",
    pooling: str = "pooling_mode_mean_tokens",
    dense: int = 0,
    prompts: dict[str, str] | None = None,
) -> Path:
    """Save a random encoder; dense: width of a layer after pooling, 0 for none."""
    from transformers import AutoConfig, AutoModel

    torch.manual_seed(0)
    size: dict[str, Any] = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    if family == "distilbert":
        size = {"dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 32}
    positions = LENGTH + (2 if family in ("xlm-roberta", "mpnet") else 0)
    tokenizer = _tokenizer()
    config = AutoConfig.for_model(
        family,
        **size,
        intermediate_size=32,
        vocab_size=len(tokenizer),
        max_position_embeddings=positions,
        pad_token_id=tokenizer.pad_token_id,
    )
    AutoModel.from_config(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    kinds = ["Transformer", "Pooling", *(["Dense"] if dense else []), "Normalize"]
    paths = ["", *(f"{place}_{kind}" for place, kind in enumerate(kinds[1:], 1))]
    types = [f"sentence_transformers.models.{kind}" for kind in kinds]
    modules = [{"path": path, "type": kind} for path, kind in zip(paths, types, strict=True)]
    write(folder / "modules.json", modules)
    write(folder / "1_Pooling/config.json", {"word_embedding_dimension": 16, pooling: True})
    write(folder / "config_sentence_transformers.json", {"prompts": prompts or {}})
    if dense:
        _save_dense(folder / "2_Dense", dense)
    return folder


def write(path: Path, value: Any) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(value))


def _tokenizer() -> Any:
    from transformers import PreTrainedTokenizerFast

    marks = ["[CLS]", "[PAD]", "[SEP]", "[UNK]"]
    known = {word: number for number, word in enumerate([*marks, *WORDS])}
    model = Tokenizer(WordLevel(known, "[UNK]"))
    model.pre_tokenizer = Whitespace()
    model.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 0), ("[SEP]", 2)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=model, cls_token="[CLS]", pad_token="[PAD]", sep_token="[SEP]", unk_token="[UNK]"
    )


def _save_dense(folder: Path, width: int) -> None:
    from safetensors.torch import save_file

    folder.mkdir()
    weights = {"linear.weight": torch.randn(width, 16), "linear.bias": torch.randn(width)}
    save_file(weights, folder / "model.safetensors")
    write(folder / "config.json", {"activation_function": "torch.nn.modules.activation.Tanh"})
