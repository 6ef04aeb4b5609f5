"""Tiny SigLIP directories with the tokenizer classes that the published ones name."""

import io
import json
from pathlib import Path
from typing import Any

import torch

LONGEST = 12
TEXTS = ["a red ball bounces twice", "two boxes on a door", "a man and a dog", "a woman in a red coat"] * 10
TOKENIZERS = ("SiglipTokenizer", "GemmaTokenizer", "Siglip2Tokenizer")


def tiny_siglip(folder: Path, tokenizer_class: str) -> Path:
    """Save a random SigLIP of 16 pixels and two layers, with a tokenizer trained on TEXTS."""
    from transformers import SiglipConfig
    from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil
    from transformers.models.siglip.modeling_siglip import SiglipModel

    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = siglip_tokenizer(folder) if tokenizer_class == "SiglipTokenizer" else gemma(tokenizer_class)
    tokenizer.save_pretrained(folder)
    sizes = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
    }
    marks = {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": tokenizer.pad_token_id}
    text = {**sizes, **marks, "vocab_size": len(tokenizer), "max_position_embeddings": LONGEST}
    vision = {**sizes, "image_size": 16, "patch_size": 8}
    torch.manual_seed(0)
    SiglipModel(SiglipConfig(text_config=text, vision_config=vision)).save_pretrained(folder)
    SiglipImageProcessorPil(size={"height": 16, "width": 16}).save_pretrained(folder)
    return folder


def siglip_tokenizer(folder: Path) -> Any:
    """Return a SigLIP tokenizer over a sentencepiece model written to `folder`."""
    import sentencepiece
    from transformers import SiglipTokenizer

    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXTS),
        model_writer=model,
        vocab_size=60,
        hard_vocab_limit=False,
        unk_id=0,
        eos_id=1,
        bos_id=-1,
        pad_id=-1,
        add_dummy_prefix=False,
        minloglevel=2,
    )
    (folder / "spiece.model").write_bytes(model.getvalue())
    return SiglipTokenizer(str(folder / "spiece.model"))


def gemma(name: str) -> Any:
    """Return a Gemma tokenizer, or SigLIP 2's, with bytes for what it does not know."""
    import transformers
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

    raw = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    raw.normalizer = normalizers.Replace(" ", "▁")
    raw.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    marks = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"]
    letters = [f"<0x{byte:02X}>" for byte in range(256)]
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=[*marks, *letters], show_progress=False)
    raw.train_from_iterator(TEXTS, trainer)
    learned = json.loads(raw.to_str())["model"]
    merges = [tuple(pair) for pair in learned["merges"]]
    make = getattr(transformers, name)
    return make(vocab=learned["vocab"], merges=merges, add_bos_token=False, add_eos_token=True)
