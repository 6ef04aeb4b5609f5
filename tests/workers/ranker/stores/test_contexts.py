from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.errors import InvalidInput, Mismatch, NotFound
from engine.files import read_json, write_json
from engine.types import Floats
from tests import numeric
from workers.ranker.stores.contexts import SUBTITLE, VIDEO, EncodedStore, write_encoded
from workers.warming import available_bytes, read_through

HIDDEN = 16


def videos(lengths: list[int]) -> list[tuple[Floats, Floats]]:
    rng = np.random.default_rng(0)
    return [tuple(5 * rng.normal(size=(2, n, HIDDEN)).astype(np.float32)) for n in lengths]


@pytest.mark.parametrize(("dtype", "error"), [("float16", 5e-4), ("int8", 5e-3), ("int5", 4e-2)])
def test_what_is_stored_comes_back(tmp_path: Path, dtype: Any, error: float) -> None:
    made = videos([3, 0, 40])
    made[0][0][1] = 0.0
    write_encoded(tmp_path / "encoded", HIDDEN, 1.5, dtype, iter(made), "abc")
    store = EncodedStore.open(tmp_path)
    assert (store.ranker, store.hidden, store.dtype, store.step, len(store)) == ("abc", HIDDEN, dtype, 1.5, 3)
    assert (store.starts.tolist(), store.clips.tolist()) == ([0, 3, 3], [3, 0, 40])
    assert isinstance(store.streams[VIDEO].unit, np.memmap)
    for place, name in enumerate((VIDEO, SUBTITLE)):
        vectors = np.concatenate([pair[place] for pair in made])
        norms = np.linalg.norm(vectors, axis=1)
        found = store.streams[name]
        numeric.close(found.units(slice(None)) * norms[:, None], vectors, error * 20, scale=1)
        numeric.close(found.norms, norms, 1e-3)
    assert read_through(store.arrays()) == store.bytes
    assert read_through(store.arrays(), 100) == 100
    assert available_bytes() > 0


def test_no_videos_are_no_clips(tmp_path: Path) -> None:
    write_encoded(tmp_path / "encoded", HIDDEN, 1.5, "int8", [], "abc")
    assert EncodedStore.open(tmp_path).clips.tolist() == []
    assert read_through(EncodedStore.open(tmp_path).arrays()) == 0


def test_vectors_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    (one,) = videos([3])
    for wrong in ((one[0], one[1][:2]), (one[0][:, :4], one[1][:, :4])):
        with pytest.raises(InvalidInput, match="shapes"):
            write_encoded(tmp_path / "encoded", HIDDEN, 1.5, "float16", [wrong], "abc")
    for number in (np.nan, np.inf, 1e6):
        one[0][0, 0] = number
        with pytest.raises(InvalidInput, match="not finite"):
            write_encoded(tmp_path / "encoded", HIDDEN, 1.5, "float16", [one], "abc")


def test_a_damaged_store_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="--contexts"):
        EncodedStore.open(tmp_path)
    folder = tmp_path / "encoded"
    write_encoded(folder, HIDDEN, 1.5, "float16", videos([3, 5]), "abc")
    about = read_json(folder / "encoded.json")
    for change in ({"format": 2}, {"dtype": "float32"}, {"hidden": 8}):
        write_json(folder / "encoded.json", about | change)
        with pytest.raises(Mismatch, match="spr build"):
            EncodedStore.open(tmp_path)
    write_json(folder / "encoded.json", about)
    np.save(folder / "subtitle.npy", np.zeros((7, HIDDEN), np.float16))
    with pytest.raises(Mismatch, match="does not fit"):
        EncodedStore.open(tmp_path)
