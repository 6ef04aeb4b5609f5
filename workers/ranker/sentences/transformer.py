"""Sentence encoders that transformers loads: BERT, XLM-R, MPNet and whatever else gives token states."""

import logging
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file

from engine import files
from engine.errors import Mismatch
from engine.types import Floats
from workers.ranker.encoder.damage import refusing
from workers.ranker.encoder.encoder import pick_device, quietly
from workers.ranker.encoder.loading import check_weights
from workers.ranker.sentences import layout
from workers.ranker.sentences.encoder import LONGEST_QUERY

_ACTIVATIONS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "Tanh": torch.tanh,
    "Identity": lambda states: states,
    "GELU": torch.nn.functional.gelu,
    "ReLU": torch.relu,
}
# On a GPU texts are computed in batches of one shape, padded: how a row is computed depends on the shape
# alone. On a CPU each is computed by itself.
_BATCH, _STRETCH = 64, 16
_PROOF = ("a first sentence", "and another")
# Tokenizers name this where nothing is said.
_ANY = 100_000
_log = logging.getLogger("spr.ranker")


class TransformerSentences:
    """A SentenceEncoder of a directory."""

    def __init__(self, folder: Path, source: str, device: str = "auto") -> None:
        """Load it; NotFound, InvalidInput or Mismatch say what cannot be used."""
        self.source = source
        self._device = pick_device(device)
        with refusing(folder, pictures=False), quietly():
            self._layout = layout.read(folder)
            model, self._tokenizer = _load(folder)
        self._tokenizer.padding_side = "right"
        # A fast tokenizer holds its truncation as state.
        self._lock = threading.Lock()
        self._model = model.to(self._device).eval().requires_grad_(False)
        for weight in self._model.parameters():
            # A file that changes while it is mapped would change the answers.
            weight.data = weight.data.clone()
        self.fingerprint = layout.fingerprint_of(folder)
        with refusing(folder, pictures=False):
            self._dense = [_dense(path, self._device) for path in self._layout.dense]
            self.longest = self._longest()
            self.dim = self._prove(folder)
            self._prove_tokens(folder)

    def passages(self, texts: Sequence[str]) -> Floats:
        """Return (n, dim) unit vectors of texts that are searched; the log tells how many are cut."""
        ids = [self._ids(self._layout.passage + text, self.longest or None) for text in texts]
        full = [text for text, one in zip(texts, ids, strict=True) if len(one) == self.longest]
        if cut := sum(len(self._ids(self._layout.passage + text, None)) > self.longest for text in full):
            _log.warning("%d texts are longer than the sentence encoder reads: their ends are cut", cut)
        return self._encode(ids)

    def queries(self, texts: Sequence[str]) -> Floats:
        """Return (n, dim) unit vectors of what is asked."""
        return self._encode([self._ids(self._layout.query + text, self._most_asked) for text in texts])

    def cut(self, texts: Sequence[str]) -> list[bool]:
        """Say of each text whether its end is left out when it is asked."""
        return [len(self._ids(self._layout.query + text, None)) > self._most_asked for text in texts]

    @property
    def _most_asked(self) -> int:
        return min(self.longest or LONGEST_QUERY, LONGEST_QUERY)

    def _encode(self, ids: Sequence[list[int]]) -> Floats:
        step = _BATCH if self._device.type == "cuda" else 1
        vectors = np.zeros((len(ids), self.dim), np.float32)
        stretches = [-(-len(one) // _STRETCH) if step > 1 else 0 for one in ids]
        order = sorted(range(len(ids)), key=lambda row: stretches[row])
        for rows in _batches(order, stretches, step):
            width = stretches[rows[0]] * _STRETCH or len(ids[rows[0]])
            vectors[rows] = self._batch([ids[row] for row in rows], step, width)
        return vectors

    def _batch(self, ids: Sequence[Sequence[int]], size: int, width: int) -> Floats:
        """Return (n, dim) of texts, padded to a batch of `size` texts of `width` tokens."""
        tokens = torch.full((size, width), self._tokenizer.pad_token_id or 0)
        valid = torch.zeros((size, width), dtype=torch.long)
        valid[:, 0] = 1
        for row, text in enumerate(ids):
            tokens[row, : len(text)] = torch.tensor(text)
            valid[row, : len(text)] = 1
        tokens, valid = tokens.to(self._device), valid.to(self._device)
        with torch.inference_mode():
            states = self._model(input_ids=tokens, attention_mask=valid).last_hidden_state
            pooled = _pool(states, valid, self._layout.pooling)
            for dense in self._dense:
                pooled = dense(pooled)
            unit = torch.nn.functional.normalize(pooled.float(), dim=1)
        found: Floats = unit[: len(ids)].cpu().numpy()
        return found

    def _ids(self, text: str, longest: int | None) -> list[int]:
        """Return a text's tokens; what it contains is words, never one of the model's own marks."""
        with self._lock:
            found = self._tokenizer(
                text.encode("utf-8", "replace").decode(),
                truncation=longest is not None,
                max_length=longest,
                split_special_tokens=True,
                verbose=False,
            )
        return list(found["input_ids"])

    def _longest(self) -> int:
        """Return how many tokens the model reads, 0 for any number."""
        config = self._model.config
        positions = int(getattr(config, "max_position_embeddings", 0) or 0)
        # RoBERTa and MPNet count positions from the one after padding's.
        first = getattr(getattr(self._model, "embeddings", None), "padding_idx", None)
        if positions and first is not None:
            positions -= int(first) + 1
        told = (self._layout.longest, positions, int(min(self._tokenizer.model_max_length, _ANY)) % _ANY)
        return min((one for one in told if one > 0), default=0)

    def _prove(self, folder: Path) -> int:
        """Return the width of a vector; Mismatch where two sentences do not give two finite ones."""
        why = "it gives two sentences the same vector, or none"
        try:
            found = np.concatenate(
                [self._batch([self._ids(text, None)], 1, len(self._ids(text, None))) for text in _PROOF]
            )
        except Exception as error:  # the model's own kinds: a wrong input, an index beyond its tokens
            why = _first_line(error)
        else:
            if np.isfinite(found).all() and np.abs(found[0] - found[1]).max() > 1e-6:
                return int(found.shape[1])
        raise Mismatch(f"{folder} does not encode sentences ({why}); give a text encoder.")

    def _prove_tokens(self, folder: Path) -> None:
        """Raise Mismatch where a text could have tokens that the model lacks, or more than it reads."""
        marks = {*self._tokenizer.all_special_ids}
        last = max((word for word in self._tokenizer.get_vocab().values() if word not in marks), default=0)
        rows = int(self._model.get_input_embeddings().weight.shape[0])
        if last >= rows:
            raise Mismatch(
                f"{folder} has a tokenizer of {last + 1} tokens and a model of {rows}; save the tokenizer "
                "that the model was trained with into the same directory."
            )
        if self.longest and len(self._ids("word " * (self.longest + 1), self.longest)) > self.longest:
            raise Mismatch(
                f"{folder} reads {self.longest} tokens, fewer than a text's marks; set max_seq_length in "
                "sentence_bert_config.json to what the model reads."
            )


def _batches(order: Sequence[int], stretches: Sequence[int], step: int) -> list[list[int]]:
    """Cut rows in order of their length into batches of one length."""
    batches: list[list[int]] = []
    for row in order:
        last = batches[-1] if batches else []
        if last and len(last) < step and stretches[last[0]] == stretches[row]:
            last.append(row)
        else:
            batches.append([row])
    return batches


def _pool(states: torch.Tensor, valid: torch.Tensor, how: str) -> torch.Tensor:
    if how == layout.CLS:
        return states[:, 0]
    if how == layout.LAST:
        return states[torch.arange(len(states), device=states.device), valid.sum(dim=1) - 1]
    weights = valid.unsqueeze(-1).to(states.dtype)
    return (states * weights).sum(dim=1) / weights.sum(dim=1)


def _dense(folder: Path, device: torch.device) -> Callable[[torch.Tensor], torch.Tensor]:
    told = files.read_json(folder / "config.json", dict)
    name = str(told.get("activation_function", "torch.nn.modules.activation.Tanh")).rpartition(".")[2]
    try:
        state = load_file(folder / "model.safetensors", str(device))
        weight, bias, activation = state["linear.weight"], state.get("linear.bias"), _ACTIVATIONS[name]
    except Exception as error:  # safetensors has kinds of its own
        raise Mismatch(f"{folder} is no dense layer that can be used here ({_first_line(error)}).") from None
    return lambda pooled: activation(torch.nn.functional.linear(pooled, weight, bias))


def _load(folder: Path) -> tuple[Any, Any]:
    from transformers import AutoModel, AutoTokenizer

    local = {"local_files_only": True, "trust_remote_code": False}
    model, report = AutoModel.from_pretrained(
        folder, use_safetensors=True, dtype=torch.float32, output_loading_info=True, **local
    )
    tokenizer = AutoTokenizer.from_pretrained(folder, **local)
    check_weights(model, report, folder)
    return model, tokenizer


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines or [type(error).__name__])[0].rstrip(".")
