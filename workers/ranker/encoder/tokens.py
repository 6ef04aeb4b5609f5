"""Sentences to token numbers, as an encoder's text tower was trained to read them."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


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
        """model_config: of a CLIPModel or SiglipModel."""
        self._tokenizer = tokenizer
        self._longest = int(model_config.text_config.max_position_embeddings)
        is_siglip = model_config.model_type == "siglip"
        # SigLIP pools at the last position and was trained on fully padded texts without a mask.
        self.pads_fully = is_siglip
        # SigLIP's texts were lower-cased in training. The tokenizer of its second version (Gemma's) leaves
        # that to its caller; CLIP's and the first version's do it themselves.
        self._lowers = is_siglip and getattr(tokenizer, "init_kwargs", {}).get("do_lower_case") is not False
        # Gemma's class pads on the left unless its files say otherwise; both families were trained with
        # padding on the right.
        tokenizer.padding_side = "right"
        # A fast tokenizer holds its padding and truncation as state and refuses concurrent changes.
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._tokenizer)

    def __call__(self, texts: Sequence[str]) -> TokenBatch:
        """Return the tokens of texts; what they contain is words, never one of the tower's own marks."""
        read = [text.lower() if self._lowers else text for text in texts]
        with self._lock:
            batch = self._tokenizer(
                read,
                padding="max_length" if self.pads_fully else True,
                truncation=True,
                max_length=self._longest,
                split_special_tokens=True,
                return_attention_mask=True,
                return_tensors="np",
            )
            valid = np.asarray(batch["attention_mask"], bool)
            cut = valid.sum(axis=1) >= self._longest
            for row in np.flatnonzero(cut):
                cut[row] = self._length(read[row]) > self._longest
        return TokenBatch(np.asarray(batch["input_ids"], np.int64), valid, cut)

    def _length(self, text: str) -> int:
        whole = self._tokenizer(text, truncation=False, split_special_tokens=True, verbose=False)
        return len(whole["input_ids"])
