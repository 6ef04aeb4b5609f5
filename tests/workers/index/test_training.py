from pathlib import Path

import faiss
import pytest

from engine.errors import Mismatch, NotFound
from tests.workers.index.factories import clustered, shard, template
from workers.index.factory import CODES, LISTED
from workers.index.files import code_of
from workers.index.part import INDEX
from workers.index.training import Template

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
