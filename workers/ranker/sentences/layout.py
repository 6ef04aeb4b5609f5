"""The files of a sentence encoder as sentence-transformers lays them out, and what they say.

modules.json lists what follows another: a transformer, pooling, dense layers, the norm. Without it, the mean
over a text's tokens is taken, as sentence-transformers does.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine import files
from engine.errors import InvalidInput, NotFound

# What such a model is made of; weights are safetensors only, never pickle.
PARTS = (
    "config.json",
    "modules.json",
    "config_sentence_transformers.json",
    "sentence_bert_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "sentencepiece.bpe.model",
    "spiece.model",
    "tokenizer.model",
    "model.safetensors.index.json",
    "model*.safetensors",
    "[0-9]_Pooling/config.json",
    "[0-9]_Dense/config.json",
    "[0-9]_Dense/model.safetensors",
)
CLS, MEAN, LAST = "cls", "mean", "last"
_POOLINGS = {
    "pooling_mode_cls_token": CLS,
    "pooling_mode_mean_tokens": MEAN,
    "pooling_mode_lasttoken": LAST,
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len",
    "pooling_mode_weightedmean_tokens": "weightedmean",
}
_VOCABULARIES = ("tokenizer.json", "vocab.txt", "vocab.json", "sentencepiece.bpe.model", "spiece.model")
_PLAIN = ("Transformer", "Pooling", "Normalize", "Dense")


@dataclass(frozen=True, slots=True)
class Layout:
    """How token states become a vector. dense: directories of layers after pooling, in order.

    query, passage: what is put before a text. longest: tokens, 0 where nothing is said.
    """

    pooling: str
    dense: tuple[Path, ...]
    query: str
    passage: str
    longest: int


def model_files(folder: Path) -> list[Path]:
    """Return the files of a directory that are the model."""
    return sorted({path for pattern in PARTS for path in folder.glob(pattern)})


def fingerprint_of(folder: Path) -> str:
    """Return the 16 hex digits over a model's files, each with its name."""
    parts: list[bytes] = []
    for path in model_files(folder):
        try:
            parts += [path.relative_to(folder).as_posix().encode(), files.sha256(path).encode()]
        except OSError as error:
            raise files.refusal(error, path) from None
    return files.fingerprint(*parts)


def read(folder: Path) -> Layout:
    """Return a directory's layout; NotFound for no model, InvalidInput for one of modules not known here."""
    if not (folder / "config.json").is_file():
        raise NotFound(
            f"{folder} has no config.json: give a text encoder that transformers or sentence-transformers "
            "saved, or a hub name.",
            "NO_SUCH_MODEL",
        )
    if not any(folder.glob("model*.safetensors")):
        raise NotFound(
            f"{folder} has no model*.safetensors file: write its weights as safetensors with transformers, "
            "AutoModel.from_pretrained(folder).save_pretrained(folder, safe_serialization=True)."
        )
    if not any((folder / name).is_file() for name in _VOCABULARIES):
        raise NotFound(f"{folder} has no tokenizer: save the one that the model was trained with into it.")
    pooling, dense = MEAN, []
    for module in _optional(folder / "modules.json", list) or []:
        kind, path = str(module.get("type", "")).rpartition(".")[2], folder / str(module.get("path", ""))
        if kind not in _PLAIN:
            known = ", ".join(_PLAIN)
            raise InvalidInput(f"{folder} has a module {kind!r}; sentence encoders here have {known}.")
        if kind == "Pooling":
            pooling = _pooling(path / "config.json")
        elif kind == "Dense":
            dense.append(path)
    prompts = _optional(folder / "config_sentence_transformers.json", dict) or {}
    longest = (_optional(folder / "sentence_bert_config.json", dict) or {}).get("max_seq_length") or 0
    query, passage = _prompt(prompts, "query"), _prompt(prompts, "passage", "document")
    return Layout(pooling, tuple(dense), query, passage, int(longest))


def _pooling(path: Path) -> str:
    told = _optional(path, dict) or {}
    modes = [mode for name, mode in _POOLINGS.items() if told.get(name)]
    # As later releases write it.
    if isinstance(told.get("pooling_mode"), str):
        modes = [str(told["pooling_mode"]).replace("lasttoken", LAST)]
    if modes not in ([CLS], [MEAN], [LAST]) or not told.get("include_prompt", True):
        found = " and ".join(modes) or "nothing"
        found += "" if told.get("include_prompt", True) else " without the prompt"
        raise InvalidInput(
            f"{path} pools {found}; sentence encoders here pool the cls, the mean or the last."
        )
    return modes[0]


def _prompt(told: Mapping[str, Any], *names: str) -> str:
    prompts = told.get("prompts") or {}
    known = (*names, told.get("default_prompt_name"))
    return next((str(prompts[name]) for name in known if name in prompts), "")


def _optional(path: Path, kind: type) -> Any:
    return files.read_json(path, kind) if path.is_file() else None
