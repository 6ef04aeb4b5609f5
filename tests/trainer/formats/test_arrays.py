"""HDF5 files that are written."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from tests.trainer.generation.test_disk import largest_file
from trainer.formats.arrays import writing

ROWS = np.arange(6, dtype=np.float64).reshape(2, 3)


def test_what_is_put_can_be_read(tmp_path: Path) -> None:
    with writing(tmp_path / "a.h5") as file:
        file.put("one", ROWS)
    with h5py.File(tmp_path / "a.h5") as found:
        assert found["one"].dtype == np.float32
        assert found["one"][:].tolist() == ROWS.tolist()


@pytest.mark.parametrize("room", [0, 3000, 20_000])
def test_a_full_disk_is_told_with_its_file_and_leaves_nothing(tmp_path: Path, room: int) -> None:
    def write() -> None:
        with writing(tmp_path / "a.h5") as file, writing(tmp_path / "b.h5"):
            for number in range(200):
                file.put(str(number), ROWS)

    with largest_file(room), pytest.raises(OSError, match=r"a\.h5"):
        write()
    assert list(tmp_path.iterdir()) == []
