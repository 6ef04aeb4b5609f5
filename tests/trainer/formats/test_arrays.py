"""HDF5 files that are written."""

from errno import ENOSPC
from pathlib import Path

import h5py
import numpy as np
import pytest

from tests.trainer.generation.test_disk import largest_file
from trainer.formats.arrays import _Disk, writing

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


def test_what_is_written_in_part_is_not_written(tmp_path: Path) -> None:
    with _Disk(tmp_path / "a.h5", "x+") as disk, largest_file(10):
        disk.told = tmp_path / "a.h5"
        disk.write(bytes(20))
        with pytest.raises(OSError, match="File too large"):
            disk.check()


def test_what_finds_no_room_when_the_file_is_closed_is_told(tmp_path: Path) -> None:
    def write() -> None:
        with writing(tmp_path / "a.h5") as file:
            file.put("one", ROWS)
            file._disk._failed = OSError(ENOSPC, "no room")

    with pytest.raises(OSError, match="no room"):
        write()
    assert list(tmp_path.iterdir()) == []
