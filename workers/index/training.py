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

# In which first centroids are drawn: of each share the vectors do not know of one another.
_ROUNDS = 16
# Half a squared distance that is rounding: equal vectors come out this far apart.
_ALIKE = 1e-6


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
        sample = np.ascontiguousarray(sample, np.float32)
        if ivf is not None and recipe.rounds:
            _find_lists(ivf, sample, recipe.rounds, clusterer)
        elif clusterer is not None:
            ivf.clustering_index = clusterer
        if not index.is_trained:
            index.train(sample)
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


def _find_lists(ivf: Any, sample: Floats, rounds: int, clusterer: Any) -> None:
    """Give inverted lists their centroids, by so many rounds of k-means from spread ones.

    clusterer: an empty index that searches for the nearest centroid in their place, None for their own.
    """
    lists = faiss.Clustering(ivf.d, ivf.nlist, ivf.cp)
    lists.niter = rounds
    faiss.copy_array_to_vector(spread(sample, int(ivf.nlist)).ravel(), lists.centroids)
    lists.train(sample, clusterer or ivf.quantizer)
    if clusterer is not None:
        ivf.quantizer.add(faiss.vector_to_array(lists.centroids).reshape(-1, ivf.d))


def spread(sample: Floats, count: int, seed: int = 0) -> Floats:
    """Return `count` of the unit vectors `sample` (n, dim) that lie apart, to begin k-means with.

    Random ones leave some clusters without a list near them, and queries miss these whole. A vector is drawn
    with the probability of its squared distance from the nearest one drawn before (k-means++; Arthur and
    Vassilvitskii 2007), a share of all in each of a few rounds (Bahmani et al., Scalable K-Means++, 2012).
    """
    if not np.isfinite(sample).all():
        raise RuntimeError("a vector has a value that is not finite")
    if len(sample) < count:
        raise RuntimeError(f"{count} lists need as many vectors")
    rng, nearest = np.random.default_rng(seed), np.full(len(sample), -1.0)
    drawn = np.zeros(0, np.int64)
    for share in np.array_split(np.arange(count), min(count, _ROUNDS)):
        # Of those that equal one that was drawn, any will do once no others are left.
        apart = np.maximum(1 - nearest, _ALIKE)
        apart[drawn] = 0
        new = rng.choice(len(sample), len(share), replace=False, p=apart / apart.sum())
        near = faiss.IndexFlatIP(sample.shape[1])
        near.add(sample[new])
        nearest = np.maximum(nearest, near.search(sample, 1)[0][:, 0])
        drawn = np.concatenate([drawn, new])
    return sample[drawn]


def _configure(index: Any, recipe: Recipe) -> None:
    """Set what a factory string cannot say."""
    ivf = inverted_lists(index)
    if ivf is not None:
        ivf.nprobe = max(1, recipe.nprobe)
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
