"""Sentences to token numbers, as an encoder's text tower was trained to read them."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workers.ranker.encoder.families import family_of


@dataclass(frozen=True, slots=True)
class TokenBatch:
    """n texts as tokens. ids: (n, longest) int64. valid: (n, longest), False for padding.

    cut: (n,), True for a text that has more tokens than the tower reads.
    """

    ids: NDArray[np.int64]
    valid: NDArray[np.bool_]
    cut: NDArray[np.bool_]


class TextTokens:
    """A Hugging Face tokenizer and how its encoder reads texts. Usable from several threads."""

    def __init__(self, tokenizer: Any, model_config: Any) -> None:
        """model_config: of a model of one of FAMILIES."""
        self._tokenizer = tokenizer
        family = family_of(model_config)
        self.longest = family.longest_of(model_config)
        # SigLIP pools at the last position and was trained on fully padded texts without a mask.
        self.pads_fully, self._fill = family.padding == "full", family.fill
        # SigLIP's texts were lower-cased in training. The tokenizer of its second version (Gemma's) leaves
        # that to its caller.
        kept = getattr(tokenizer, "init_kwargs", {}).get("do_lower_case") is False
        self._lowers = family.lowers and not kept
        # Gemma's class pads on the left unless its files say otherwise; all families were trained with
        # padding on the right.
        tokenizer.padding_side = "right"
        # A fast tokenizer holds its padding and truncation as state and refuses concurrent changes.
        self._lock = threading.Lock()
        self._marks = self._marks_that_pass()

    def __len__(self) -> int:
        return len(self._tokenizer)

    def __call__(self, texts: Sequence[str]) -> TokenBatch:
        """Return the tokens of texts; what they contain is words, never one of the tower's own marks."""
        read = [self._read(text) for text in texts]
        with self._lock:
            batch = self._tokenizer(
                read,
                padding="max_length" if self.pads_fully else True,
                truncation=True,
                max_length=self.longest,
                split_special_tokens=True,
                return_attention_mask=True,
                return_tensors="np",
            )
            valid = np.asarray(batch["attention_mask"], bool)
            cut = valid.sum(axis=1) >= self.longest
            for row in np.flatnonzero(cut):
                cut[row] = self._length(read[row]) > self.longest
        ids = np.asarray(batch["input_ids"], np.int64)
        return TokenBatch(ids if self._fill is None else np.where(valid, ids, self._fill), valid, cut)

    def _read(self, text: str) -> str:
        for mark in self._marks:
            text = text.replace(mark, f"{mark[0]} {mark[1:]}")
        return text.lower() if self._lowers else text

    def _marks_that_pass(self) -> list[str]:
        """Return the marks that a text could still set: they are pieces of the vocabulary (XLM-R's) too."""
        special = {*self._tokenizer.all_special_ids} - {self._tokenizer.unk_token_id}

        def count(text: str) -> int:
            ids = self._tokenizer(text, split_special_tokens=True, verbose=False)["input_ids"]
            return sum(token in special for token in ids)

        return [mark for mark in self._tokenizer.all_special_tokens if count(f"a {mark}a") > count("a")]

    def _length(self, text: str) -> int:
        whole = self._tokenizer(text, truncation=False, split_special_tokens=True, verbose=False)
        return len(whole["input_ids"])
