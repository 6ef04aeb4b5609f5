"""Where an encoder's files are, and the name they give it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from engine import files
from engine.errors import InvalidInput, Mismatch, NotFound, Unavailable
from workers.ranker.encoder.families import FAMILIES, OPEN_CLIP

# What a model directory is made of; weights are safetensors only, never pickle. A note beside it is no part.
_WEIGHTS = "model*.safetensors"
_PARTS = (
    "config.json",
    "preprocessor_config.json",
    "processor_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "*.model",
    "model.safetensors.index.json",
    _WEIGHTS,
)
# What makes frames of a clip ready, for families that have one: read before preprocessor_config.json.
VIDEOS = "video_preprocessor_config.json"
OPEN_CLIP_CONFIG, OPEN_CLIP_WEIGHTS = "open_clip_config.json", "open_clip_model.safetensors"
# Until only these counted, every text file in the directory did.
_COUNTED_BEFORE = ("*.json", "*.txt", "*.model", _WEIGHTS)
_VOCABULARIES = (
    ("tokenizer.json",),
    ("spiece.model",),
    ("tokenizer.model",),
    ("sentencepiece.bpe.model",),
    ("vocab.txt",),
    ("vocab.json", "merges.txt"),
)
_REMEDY = "give a directory made by `spr train encoder` or saved by transformers, or a hub name"


def resolve(name_or_dir: str, parts: Sequence[str] = (*_PARTS, VIDEOS)) -> Path:
    """Return the directory of a local model, or of the hub's model after fetching what is missing.

    parts: patterns of the files that are fetched.
    """
    folder = Path(name_or_dir).expanduser()
    if folder.is_dir():
        return folder
    looks_local = name_or_dir.startswith(("/", ".", "~")) or name_or_dir.count("/") > 1
    if looks_local or folder.exists() or not name_or_dir:
        raise NotFound(f"{name_or_dir!r} is not a directory: {_REMEDY}.", "NO_SUCH_MODEL")
    return _fetch(name_or_dir, parts)


def fingerprint_of(folder: Path) -> str:
    """Return the 16 hex digits over config, weights, tokenizer and image processor of a model directory."""
    return _fingerprint(model_files(folder))


def model_files(folder: Path) -> list[Path]:
    """Return the files of a directory that are the model."""
    # Some repositories hold both layouts; transformers' is the one that is read.
    layout = (OPEN_CLIP_CONFIG, OPEN_CLIP_WEIGHTS) if _is_open_clip(folder) else ()
    videos = (VIDEOS,) if (folder / VIDEOS).is_file() and _reads_videos(folder) else ()
    return _matching(folder, (*_PARTS, *layout, *videos))


def explain(folder: Path, wanted: str) -> str:
    """Return why a directory no longer has the fingerprint `wanted`, "" where it is simply another model."""
    before = _matching(folder, _COUNTED_BEFORE)
    others = ", ".join(sorted({path.name for path in before} - {path.name for path in model_files(folder)}))
    if not others or _fingerprint(before) != wanted:
        return ""
    return f" (it is the same model: {others} counted as a part of it then and no longer does)"


def _matching(folder: Path, patterns: tuple[str, ...]) -> list[Path]:
    return sorted({path for pattern in patterns for path in folder.glob(pattern)})


def _fingerprint(paths: list[Path]) -> str:
    parts: list[bytes] = []
    for path in paths:
        try:
            parts += [path.name.encode(), files.sha256(path).encode()]
        except OSError as error:
            raise files.refusal(error, path) from None
    return files.fingerprint(*parts)


def check_tokenizer(folder: Path) -> None:
    """Refuse a directory without a vocabulary; transformers would make an empty one and not tell."""
    if not any(all((folder / name).is_file() for name in group) for group in _VOCABULARIES):
        raise NotFound(
            f"{folder} has no tokenizer (tokenizer.json, vocab.json with merges.txt, vocab.txt, or "
            "a sentencepiece model): save the one that the model was trained with into it."
        )


def _fetch(name: str, parts: Sequence[str]) -> Path:
    import huggingface_hub
    from huggingface_hub import errors

    try:
        # A pattern's star matches folders too, which are looked into only where the parts name some.
        ignored = None if any("/" in part for part in parts) else ["*/*"]
        found = huggingface_hub.snapshot_download(name, allow_patterns=list(parts), ignore_patterns=ignored)
        return Path(found)
    except (errors.RepositoryNotFoundError, errors.HFValidationError) as error:
        raise NotFound(
            f"{name!r} is neither a directory nor a model on the hub: {_REMEDY}.", "NO_SUCH_MODEL"
        ) from error
    except (OSError, errors.HfHubHTTPError, errors.LocalEntryNotFoundError) as error:
        raise Unavailable(
            f"Model {name!r} is not in the local cache and the Hugging Face hub cannot be reached: "
            "connect once to fetch it, or give a local directory.",
            "HUB_UNREACHABLE",
        ) from error


def _is_open_clip(folder: Path) -> bool:
    return (folder / OPEN_CLIP_CONFIG).is_file() and not (folder / "config.json").is_file()


def pictures_file(folder: Path) -> Path:
    """Return the file that says how a directory's pictures, or frames, are made ready: the first of three."""
    videos = _reads_videos(folder)
    nested = folder / "processor_config.json"
    if ("video_processor" if videos else "image_processor") in _json(nested):
        return nested
    own = folder / VIDEOS
    return own if videos and own.is_file() else folder / "preprocessor_config.json"


def _reads_videos(folder: Path) -> bool:
    kind = str(_json(folder / "config.json").get("model_type"))
    return kind in FAMILIES and FAMILIES[kind].reads_videos


def _json(file: Path) -> dict[str, Any]:
    """Return what a file holds, nothing where it cannot be used: whoever loads the model tells."""
    try:
        return dict(files.read_json(file, dict))
    except (files.BadJson, OSError):
        return {}


def model_type(folder: Path, clips: bool = True) -> str:
    """Return the family of a directory that holds a whole model; refuse any that FAMILIES lacks.

    clips: families that read clips will do.
    """
    config = folder / "config.json"
    if _is_open_clip(folder):
        if not (folder / OPEN_CLIP_WEIGHTS).is_file():
            raise NotFound(f"{folder} has no {OPEN_CLIP_WEIGHTS}: fetch it from the model's repository.")
        return OPEN_CLIP
    if not config.is_file():
        raise NotFound(f"{folder} has no config.json: {_REMEDY}.", "NO_SUCH_MODEL")
    try:
        kind = str(files.read_json(config, dict).get("model_type"))
    except files.BadJson as error:
        raise Mismatch(f"{config} is not a model's configuration: {error.why}; {_REMEDY}.") from error
    if not getattr(FAMILIES.get(kind), "model", ""):
        known = ", ".join(f"{family.title} ({name})" for name, family in FAMILIES.items())
        raise InvalidInput(f"{folder} is a model of type {kind!r}; encoders are of one of these: {known}.")
    if FAMILIES[kind].frames and not clips:
        raise InvalidInput(
            f"{folder} is {FAMILIES[kind].title}, which reads clips and cannot find seconds: give a model of "
            "pictures, such as CLIP or SigLIP."
        )
    if not any(folder.glob(_WEIGHTS)):
        pickled = any(folder.glob("*.bin"))
        found = "its weights as a pickle, which can run code" if pickled else f"no {_WEIGHTS} file"
        raise NotFound(
            f"{folder} has {found}: write them as safetensors with transformers, "
            "AutoModel.from_pretrained(folder).save_pretrained(folder, safe_serialization=True)."
        )
    return kind
