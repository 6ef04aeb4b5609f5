"""Trained, empty indexes, kept once a collection: every part's index starts from a copy of one.

COLLECTION/quantizers/<first 16 of its SHA-256>.faiss
"""

from pathlib import Path

from engine.entries import refuse
from engine.errors import NotFound
from engine.files import replacing
from workers.index.training import Template

QUANTIZERS = "quantizers"
REMEDY = "copy it again, or run `spr build`"


def path_of(collection: Path, sha256: str) -> Path:
    """Return where a quantizer lies."""
    return collection / QUANTIZERS / f"{sha256[:16]}.faiss"


def write(collection: Path, template: Template) -> Path:
    """Keep a template, atomically, unless it is there already and whole."""
    path = path_of(collection, template.sha256)
    if not path.is_file() or path.read_bytes() != template.content:
        with replacing(path) as partial:
            partial.write_bytes(template.content)
    return path


def read(collection: Path, sha256: str) -> Template:
    """Return the template of that checksum; NotFound where it is missing, Mismatch where it is another."""
    path = path_of(collection, sha256)
    try:
        template = Template.of_bytes(path.read_bytes())
    except FileNotFoundError:
        raise NotFound(
            f"{path} is missing: copy it again, or run `spr build`.", "GENERATION_CORRUPT"
        ) from None
    if template.sha256 != sha256:
        raise refuse(
            f"{path} has another checksum than its version gives: copy it again, or run `spr build`."
        )
    return template
