"""A byte-level BPE tokenizer of CLIP's kind, trained on a world's texts."""

from collections.abc import Iterable
from typing import Any

START, END = "<|startoftext|>", "<|endoftext|>"


def train_tokenizer(texts: Iterable[str], vocab_size: int, max_tokens: int, rows: int = 0) -> Any:
    """Return a transformers CLIPTokenizer whose merges come from `texts`.

    rows: fill the vocabulary up to so many tokens with ones that no text has.

    Every byte is a token both inside and at the end of a word: a character that was never seen would
    otherwise become the unknown token, which is CLIP's end marker, and the tower would pool there.
    """
    from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
    from transformers import CLIPTokenizer

    shell = CLIPTokenizer().backend_tokenizer  # for its normalizer and pre-tokenizer
    raw = Tokenizer(models.BPE(unk_token=END, end_of_word_suffix="</w>", continuing_subword_prefix=""))
    raw.normalizer, raw.pre_tokenizer = shell.normalizer, shell.pre_tokenizer
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=2,
        show_progress=False,
        # As special tokens the endings get their ids before training, in order; left to the trainer they come
        # in the order of a hash, and with them ties between merges: each training would differ.
        special_tokens=[START, END, *(byte + "</w>" for byte in alphabet)],
        initial_alphabet=alphabet,
        end_of_word_suffix="</w>",
    )
    raw.train_from_iterator(texts, trainer)
    vocab = dict(sorted(raw.get_vocab().items(), key=lambda entry: entry[1]))
    vocab |= {f"<|unused {row}|>": row for row in range(len(vocab), rows)}
    merges = [tuple(pair) for pair in _merges(raw)]
    tokenizer = CLIPTokenizer(vocab=vocab, merges=merges, model_max_length=max_tokens)
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{START} $A {END}", special_tokens=[(token, vocab[token]) for token in (START, END)]
    )
    return tokenizer


def _merges(raw: Any) -> list[list[str]]:
    import json

    pairs = json.loads(raw.to_str())["model"]["merges"]
    return [pair.split(" ") if isinstance(pair, str) else pair for pair in pairs]
