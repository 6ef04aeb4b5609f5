from pathlib import Path

import faiss
import numpy as np
import pytest

from engine.errors import InvalidInput, Mismatch, NotFound
from engine.types import Floats
from tests import numeric
from tests.workers.index.factories import clustered, shard, template, unit
from workers.index import gpu
from workers.index.factory import CODES, LISTED, recipe
from workers.index.files import code_of
from workers.index.parameters import inverted_lists
from workers.index.part import INDEX
from workers.index.training import Template, spread, train

VECTORS = clustered(1000, 32)


@pytest.mark.parametrize(
    ("index", "kind"),
    [
        ("flat", "IndexFlat"),
        ("flatl2", "IndexFlat"),
        (CODES, "IndexScalarQuantizer"),
        (f"IVF16,{LISTED}", "IndexScalarQuantizer"),
        ("IVF16,PQ16x4,RFlat", "IndexFlat"),
        ("IVF16,Flat", "IndexIVFFlat"),
        ("SQfp16", "IndexScalarQuantizer"),
    ],
)
def test_small_parts_are_exact_in_the_type_of_the_originals(index: str, kind: str) -> None:
    trained = template(VECTORS, index)
    small = faiss.downcast_index(made := trained.small().copy())
    assert type(small).__name__.startswith(kind)
    assert (made.ntotal, made.d, made.is_trained) == (0, 32, True)
    assert made.metric_type == trained.copy().metric_type


def test_a_template_is_kept_by_its_checksum(tmp_path: Path) -> None:
    trained = template(VECTORS, CODES)
    trained.save(tmp_path)
    trained.save(tmp_path)
    path = tmp_path / "quantizers" / f"{trained.sha256[:16]}.faiss"
    assert [one.name for one in path.parent.iterdir()] == [path.name]
    assert Template.read(tmp_path, trained.sha256).sha256 == trained.sha256
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(Mismatch, match=path.name):
        Template.read(tmp_path, trained.sha256)
    path.unlink()
    with pytest.raises(NotFound, match=path.name):
        Template.read(tmp_path, trained.sha256)


@pytest.mark.parametrize(("index", "code"), [("flat", "IxFI"), ("SQfp16", "IxSQ"), (CODES, "Irfn")])
def test_a_file_begins_with_four_letters(tmp_path: Path, index: str, code: str) -> None:
    shard(VECTORS, [25] * 40, index).save(tmp_path)
    assert code_of(tmp_path / INDEX) == code


def test_lists_begin_in_every_cluster_however_small() -> None:
    rng = np.random.default_rng(1)
    sizes = [2000] + [4] * 99
    clusters = np.repeat(np.arange(100), sizes)
    centres = unit(rng.standard_normal((100, 32), np.float32))
    vectors = unit(centres[clusters] + 0.01 * rng.standard_normal((len(clusters), 32), np.float32))
    drawn = spread(vectors, 200)
    places = np.argmax(drawn @ vectors.T, axis=1)
    assert len(set(places)) == 200
    assert set(clusters[places]) == set(range(100))


def test_where_few_vectors_differ_each_of_them_begins_a_list() -> None:
    # Of this width the product of a vector with itself is not quite 1.
    different = unit(np.random.default_rng(0).standard_normal((60, 96), np.float32))
    vectors = np.repeat(different, 20, axis=0)
    for count in (100, 400, 1190, 1200):
        drawn = spread(vectors, count)
        assert len(drawn) == count
        assert len(np.unique(drawn, axis=0)) == len(different)


def test_fewer_vectors_than_lists_are_refused() -> None:
    for vectors in (VECTORS[:24], VECTORS[:0]):
        with pytest.raises(InvalidInput, match=rf"on {len(vectors)} segments \(25 lists"):
            train(recipe("fast", 32, 1000), 32, vectors)


def test_lists_are_the_same_whatever_searches_for_the_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    made = recipe("fast", 32, 1000)
    assert made.rounds > 0
    own = train(made, 32, VECTORS)
    monkeypatch.setattr(gpu, "clusterer", lambda dim: faiss.IndexFlatIP(dim))
    other = train(made, 32, VECTORS, "auto")
    numeric.close(centroids(other), centroids(own))


def test_vectors_that_are_not_finite_are_refused() -> None:
    vectors = VECTORS.copy()
    vectors[7, 3] = np.nan
    for index in ("fast", "IVF16,Flat"):
        with pytest.raises(InvalidInput, match=r"cannot be trained on 1000 segments \(.*(finite|NaN)"):
            template(vectors, index)


def centroids(trained: Template) -> Floats:
    index = trained.copy()
    quantizer = inverted_lists(index).quantizer
    assert quantizer.ntotal == 25
    found: Floats = quantizer.reconstruct_n(0, quantizer.ntotal)
    return found
