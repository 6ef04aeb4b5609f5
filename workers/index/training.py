"""Train a FAISS index once; every large part of a collection starts from a copy of it.

COLLECTION/quantizers/<first 16 of its SHA-256>.faiss
"""

import hashlib
import re
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from engine import frozen
from engine.entries import refuse
from engine.errors import InvalidInput
from engine.types import Floats
from workers.index import gpu
from workers.index.factory import Recipe
from workers.index.parameters import inverted_lists

VERSION: str = faiss.__version__


class Template:
    """A trained, empty index. Only parts made from the same one have scores that compare."""

    def __init__(self, index: Any) -> None:
        # Kept as bytes: they have a checksum, and every kind of index can be read, not all can be cloned.
        self._bytes: NDArray[np.uint8] = faiss.serialize_index(index)

    @property
    def sha256(self) -> str:
        """Name the trained quantizer by its bytes."""
        return hashlib.sha256(self._bytes.tobytes()).hexdigest()

    def copy(self) -> Any:
        """Return an empty FAISS index, trained alike."""
        return faiss.deserialize_index(self._bytes)

    def small(self) -> "Template":
        """Return the template of small parts: exact, in the type of the originals, where there are any."""
        index = self.copy()
        return Template(index.refine_index) if isinstance(index, faiss.IndexRefine) else self

    def save(self, collection: Path) -> None:
        """Keep it in the collection under the name that `read` finds, atomically; once is enough."""
        frozen.save(path_of(collection, self.sha256), self._bytes.tobytes())

    @classmethod
    def read(cls, collection: Path, sha256: str) -> "Template":
        """Return the template of this checksum; NotFound or Mismatch where it is not there, whole."""
        path = path_of(collection, sha256)
        found = cls.__new__(cls)
        found._bytes = np.frombuffer(frozen.read(path, sha256), np.uint8)
        try:
            found.copy()
        except RuntimeError as error:
            raise refuse(
                f"{path} cannot be read by FAISS {VERSION} ({reason(error)}): {frozen.REMEDY}"
            ) from None
        return found


def path_of(collection: Path, sha256: str) -> Path:
    """Return where the template of a checksum is kept."""
    return frozen.path_of(collection, sha256, "faiss")


def train(recipe: Recipe, dim: int, sample: Floats, device: str = "cpu") -> Template:
    """Make an index of width `dim` and train it on unit vectors `sample` (n, dim).

    device: with "auto", a GPU finds the centroids of inverted lists where FAISS sees one.
    Raises InvalidInput, with the counts and a way out, for a factory that cannot be used.
    """
    index = _make(recipe, dim)
    _configure(index, recipe)
    ivf = inverted_lists(index)
    clusterer = gpu.clusterer(dim) if ivf is not None and device != "cpu" else None
    try:
        if clusterer is not None:
            ivf.clustering_index = clusterer
        if not index.is_trained:
            index.train(np.ascontiguousarray(sample, np.float32))
    except RuntimeError as error:
        message = f"index {recipe.label!r} cannot be trained on {len(sample)} segments ({reason(error)}): "
        raise InvalidInput(message + "ingest more videos, use fewer lists, or --index flat.") from None
    if clusterer is not None:
        ivf.clustering_index = None
    return Template(index)


def check_recipe(recipe: Recipe, dim: int) -> None:
    """Raise InvalidInput for a factory that FAISS cannot make; nothing is trained."""
    _make(recipe, dim)


def reason(error: Exception) -> str:
    """Return what an error of FAISS says, without its place in C++."""
    last = str(error).strip().splitlines()[-1]
    return re.sub(r"^(Error in .*\.cpp:\d+: )?(Error: '.*' failed: )?", "", last)


def _make(recipe: Recipe, dim: int) -> Any:
    try:
        index = faiss.index_factory(
            dim, recipe.factory, faiss.METRIC_L2 if recipe.l2 else faiss.METRIC_INNER_PRODUCT
        )
    except RuntimeError as error:
        message = f"FAISS makes no index {recipe.label!r} of dimension {dim} ({reason(error)}): "
        raise InvalidInput(message + "use flat, ivfflat, ivfpq or another factory string.") from None
    if isinstance(index, faiss.IndexIDMap) or index.metric_type not in (
        faiss.METRIC_INNER_PRODUCT,
        faiss.METRIC_L2,
    ):
        message = f"index {recipe.label!r} keeps ids or a metric of its own: "
        raise InvalidInput(message + "leave IDMap away, or use flat, ivfflat or ivfpq.")
    return index


def _configure(index: Any, recipe: Recipe) -> None:
    """Set what a factory string cannot say."""
    ivf = inverted_lists(index)
    if ivf is not None:
        ivf.nprobe = max(1, recipe.nprobe)
        if recipe.rounds:
            # Random first centroids leave some clusters without a list near them: queries miss them whole.
            ivf.cp.init_method = faiss.ClusteringInitMethod_AFK_MC2
            ivf.cp.niter = recipe.rounds
    if isinstance(index, faiss.IndexRefine):
        index.k_factor = recipe.factor
    for part in (index, ivf):
        if hasattr(part, "do_polysemous_training"):
            # Half a minute of annealing for a filter that no search here uses.
            part.do_polysemous_training = False
    for part in (ivf, getattr(ivf, "pq", None), getattr(index, "pq", None)):
        if part is not None:
            # The recipe has judged the sample already; FAISS would warn on stderr.
            part.cp.min_points_per_centroid = 1
