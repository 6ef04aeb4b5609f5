"""Sentence vectors less what they all have in common: encoders put all texts into a narrow cone.

The mean of texts that are searched, that of the same ones as they are asked, and the directions in which
they differ most (Mu and Viswanath, All-but-the-Top, ICLR 2018) are frozen with a version as its lexicon is.

COLLECTION/quantizers/<first 16 of its SHA-256>.centre: safetensors, float32: `told` and `asked` (dim,), the
means; `shared` (n, dim), unit directions at right angles.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from engine import frozen
from engine.entries import TextsEntry, Version, refuse
from engine.files import MALFORMED
from engine.types import Floats
from workers.ranker.sentences.encoder import SentenceEncoder

SHARED = 2
# What fewer texts have in common is what they are about.
LEAST = 32


@dataclass(frozen=True, slots=True, eq=False)
class Centre:
    """What vectors have in common. told, asked: (dim,) means; shared: (n, dim) orthonormal rows."""

    told: Floats
    asked: Floats
    shared: Floats

    @staticmethod
    def of(told: Floats, asked: Floats) -> "Centre":
        """Return that of texts as they are searched and as they are asked, (n, dim) each; 0 for too few."""
        count, dim = told.shape
        if count < LEAST:
            return Centre(
                np.zeros(dim, np.float32), np.zeros(dim, np.float32), np.zeros((0, dim), np.float32)
            )
        means = [vectors.mean(axis=0, dtype=np.float64) for vectors in (told, asked)]
        shared = np.linalg.svd(told - means[0], full_matrices=False)[2][:SHARED]
        first, second, rows = (np.ascontiguousarray(one, np.float32) for one in (*means, shared))
        return Centre(first, second, rows)

    def less(self, vectors: Floats, mean: Floats) -> Floats:
        """Return vectors (n, dim) less a mean and the shared directions, of length 1.

        Row by row, so that a vector is the same whatever is beside it.
        """
        own = vectors - mean
        for direction in self.shared:
            own -= (own * direction).sum(axis=1, keepdims=True) * direction
        unit: Floats = own / np.maximum(np.linalg.norm(own, axis=1, keepdims=True), np.float32(1e-12))
        return unit

    @property
    def sha256(self) -> str:
        """Name it by its bytes."""
        return hashlib.sha256(self._bytes()).hexdigest()

    def save(self, collection: Path) -> None:
        """Keep it in the collection under the name that `read` finds."""
        frozen.save(path_of(collection, self.sha256), self._bytes())

    def _bytes(self) -> bytes:
        content: bytes = save({"told": self.told, "asked": self.asked, "shared": self.shared})
        return content

    @staticmethod
    def read(collection: Path, sha256: str, dim: int) -> "Centre":
        """Return that of a checksum, of vectors `dim` wide; NotFound or Mismatch where it is not there."""
        path = path_of(collection, sha256)
        content = frozen.read(path, sha256)
        try:
            tensors = load(content)
            found = Centre(*(tensors[name].astype(np.float32) for name in ("told", "asked", "shared")))
        except (SafetensorError, *MALFORMED) as error:
            raise refuse(f"{path} cannot be read ({error}): {frozen.REMEDY}") from None
        if {found.told.shape, found.asked.shape, found.shared.shape[1:]} != {(dim,)}:
            raise refuse(f"{path} is not of vectors {dim} wide: {frozen.REMEDY}")
        return found


class Centred:
    """A SentenceEncoder less a centre."""

    def __init__(self, encoder: SentenceEncoder, centre: Centre) -> None:
        self._encoder, self.centre = encoder, centre
        self.source, self.fingerprint = encoder.source, encoder.fingerprint
        self.dim, self.longest = encoder.dim, encoder.longest

    def passages(self, texts: Sequence[str]) -> Floats:
        """See `SentenceEncoder`."""
        return self.centre.less(self._encoder.passages(texts), self.centre.told)

    def queries(self, texts: Sequence[str]) -> Floats:
        """See `SentenceEncoder`."""
        return self.centre.less(self._encoder.queries(texts), self.centre.asked)

    def cut(self, texts: Sequence[str]) -> list[bool]:
        """See `SentenceEncoder`."""
        return self._encoder.cut(texts)


def as_built(collection: Path, entry: TextsEntry, encoder: SentenceEncoder) -> SentenceEncoder:
    """Return an encoder as the texts of a version were encoded by it."""
    if not entry.centre_sha256:
        return encoder
    return Centred(encoder, Centre.read(collection, entry.centre_sha256, entry.dim))


def path_of(collection: Path, sha256: str) -> Path:
    """Return where the centre of a checksum is kept."""
    return frozen.path_of(collection, sha256, "centre")


def files_of(version: Version) -> list[str]:
    """Return the name, in the collection, of a version's centre, if it has one."""
    about = version.texts
    return [str(path_of(Path(), about.centre_sha256))] if about is not None and about.centre_sha256 else []
