"""What all parts of a version share: files of COLLECTION/quantizers that are named by their checksums."""

import hashlib
from pathlib import Path

from engine.entries import refuse
from engine.errors import NotFound
from engine.files import refusal, replacing

QUANTIZERS = "quantizers"
REMEDY = "copy it again or run `spr build`."


def path_of(collection: Path, sha256: str, kind: str) -> Path:
    """Return where the file of a checksum is kept. kind: its suffix."""
    return collection / QUANTIZERS / f"{sha256[:16]}.{kind}"


def read(path: Path, sha256: str) -> bytes:
    """Return what a file holds; NotFound or Mismatch where it is not there, whole."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise NotFound(f"{path} does not exist: {REMEDY}", "GENERATION_CORRUPT") from None
    except OSError as error:
        raise refusal(error, path) from None
    if hashlib.sha256(content).hexdigest() != sha256:
        raise refuse(f"{path} does not have the checksum that the version gives: {REMEDY}")
    return content


def save(path: Path, content: bytes) -> None:
    """Write a file atomically under the name of its checksum; once is enough."""
    with replacing(path) as partial:
        partial.write_bytes(content)
