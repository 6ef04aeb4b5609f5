"""Why an encoder's directory does not load: which of its files is damaged, incomplete or missing."""

import codecs
import contextlib
import json
from collections.abc import Iterator
from errno import EISDIR, ENOENT, ENOTDIR
from pathlib import Path

from engine import files
from engine.errors import Mismatch, SprError, Unavailable, of_machine, of_memory
from workers.ranker.encoder.files import VIDEOS, model_files

_POINTER = b"version https://git-lfs"
_PICTURES = ("preprocessor_config.json", "processor_config.json", VIDEOS)
# Errors of the names that a model asks for; libraries give some none.
_OF_FILES = {None, ENOENT, ENOTDIR, EISDIR}
_MOST_HEADER = 100_000_000  # as safetensors has it


@contextlib.contextmanager
def refusing(folder: Path, pictures: bool = True) -> Iterator[None]:
    """Raise Mismatch for whatever a model's own code raises at the files of a directory; see `told`.

    Unavailable where there is no memory for it; InvalidInput for a disk that cannot be read.
    """
    try:
        yield
    except SprError:
        raise
    except Exception as error:
        raise _of_machine(folder, error) or Mismatch(told(folder, error, pictures)) from error


def _of_machine(folder: Path, error: Exception) -> SprError | None:
    """Return what is to be told of a failure of the machine, None for one of the files."""
    if of_memory(error) or "allocate memory" in str(error):
        return Unavailable(f"{folder} does not fit into the memory that is free; free some and try again.")
    if isinstance(error, OSError) and error.errno not in _OF_FILES:
        return files.refusal(error)
    return of_machine(error)


def told(folder: Path, error: Exception, pictures: bool = True) -> str:
    """Return a sentence on a directory whose loading failed with `error`: the file to blame, if one is.

    pictures: whether the model reads any.
    """
    if fault := next(_faults(folder), None):
        return f"{fault}; save or fetch the model again."
    if "ignore_mismatched_sizes" in str(error):
        return f"{folder} has weights of other sizes than config.json says; save or fetch the model again."
    if pictures and not any((folder / name).is_file() for name in _PICTURES):
        return f"{folder} has no {_PICTURES[0]}; save or fetch the model again."
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if isinstance(error, FileNotFoundError) and error.filename:
        lines = [f"{error.filename} is missing"]
    elif isinstance(error, AttributeError | TypeError) or not lines:
        # What a program says of itself.
        lines = ["a value in one of its JSON files is missing, or of another kind than it should be"]
    remedy = "install it" if isinstance(error, ImportError) else "save or fetch the model again"
    return f"{folder} cannot be loaded ({lines[0].rstrip('.')}); {remedy}."


def _faults(folder: Path) -> Iterator[str]:
    for path in model_files(folder):
        try:
            fault = _fault(path)
        except OSError as error:
            fault = f"cannot be read ({error.strerror})"
        if fault:
            yield f"{path} {fault}"


def _fault(path: Path) -> str | None:
    with path.open("rb") as file:
        head = file.read(len(_POINTER))
    if head == _POINTER:
        return "is a pointer of Git LFS, not the file itself (git lfs pull)"
    if path.suffix == ".safetensors":
        return _fault_of_weights(path)
    if path.suffix == ".json":
        if head.startswith(codecs.BOM_UTF8):
            return "begins with a byte order mark, which no model's file may have"
        try:
            value = files.read_json(path, dict)
        except files.BadJson as error:
            return f"cannot be used: {error.why}"
        if path.name.endswith(".index.json"):
            shards = {str(name) for name in dict(value.get("weight_map", {})).values()}
            missing = sorted(name for name in shards if not (path.parent / name).is_file())
            return f"names {missing[0]}, which is not there" if missing else None
    return None


def _fault_of_weights(path: Path) -> str | None:
    """Return what is wrong with a safetensors file: its first 8 bytes and its header say how long it is."""
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 2 <= length <= min(_MOST_HEADER, size - 8):
            return f"is no safetensors file, or cut off within its header ({size} bytes)"
        try:
            header = json.loads(file.read(length))
            whole = (
                8 + length + max(int(each["data_offsets"][1]) for each in header.values() if "dtype" in each)
            )
        except files.MALFORMED:
            return "is no safetensors file: its header is damaged"
    return f"is not complete: {size} of {whole} bytes are there" if size < whole else None
