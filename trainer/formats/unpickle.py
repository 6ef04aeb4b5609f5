"""What a torch file holds, read without running any of it: archives, and the form before torch 1.6."""

import io
import struct
import zipfile
from pathlib import Path
from typing import Any

from engine.errors import InvalidInput, NotFound
from trainer.formats.program import BoundedUnpickler, Inert
from trainer.formats.unread import Bytes, UnreadTensor

__all__ = ["Inert", "UnreadTensor", "read_torch", "unsound"]

# How files of torch before 1.6 begin; their storages' bytes follow the pickles.
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C


def read_torch(path: Path) -> Any:
    """Return what a file of `torch.save` holds: containers, `UnreadTensor` for tensors, `Inert` for the rest.

    NotFound or InvalidInput name the file that is missing, damaged, or of another kind.
    """
    if not path.is_file():
        raise NotFound(f"{path} does not exist; name a file written by torch.save.")
    try:
        return _read_zip(path) if zipfile.is_zipfile(path) else _read_legacy(path)
    except Exception as error:  # A pickle that is damaged, or meant to, fails as anything.
        raise unsound(path, error) from error


def unsound(path: Path, error: Exception) -> InvalidInput:
    """Return the refusal of a file that cannot be read."""
    reason = str(error) or type(error).__name__
    return InvalidInput(
        f"{path} is no sound file of torch.save: {reason[:200]}; copy it again, or name another."
    )


def _read_zip(path: Path) -> Any:
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
            raise ValueError("its archive is compressed, and torch writes none that is")
        if sum(entry.file_size for entry in archive.infolist()) > path.stat().st_size:
            raise ValueError("its entries are larger than the file")
        roots = [name.removesuffix("data.pkl") for name in names if name.rpartition("/")[2] == "data.pkl"]
        if not roots:
            raise ValueError("it is an archive without data.pkl")
        root = min(roots, key=len)
        if f"{root}byteorder" in names and archive.read(f"{root}byteorder") != b"little":
            raise ValueError("it comes from a big-endian machine")
        program = io.BytesIO(archive.read(f"{root}data.pkl"))
    return BoundedUnpickler(program, lambda key: _entry(path, f"{root}data/{key}")).load()


def _entry(path: Path, name: str) -> Bytes:
    def read() -> bytes:
        with zipfile.ZipFile(path) as archive:
            return archive.read(name)

    return read


def _read_legacy(path: Path) -> Any:
    places: dict[str, tuple[int, int]] = {}

    def content(key: str) -> Bytes:
        return lambda: _span(path, *places[key])

    with path.open("rb") as stream:
        if stream.peek(1)[:1] != b"\x80" or BoundedUnpickler(stream, content).load() != LEGACY_MAGIC:
            raise ValueError("it does not begin as one")
        _, system = (BoundedUnpickler(stream, content).load() for _ in range(2))
        if not system.get("little_endian", True):
            raise ValueError("it comes from a big-endian machine")
        reader = BoundedUnpickler(stream, content)
        held = reader.load()
        for key in BoundedUnpickler(stream, content).load():
            values = struct.unpack("<q", stream.read(8))[0]
            length = values * reader.storages[key].dtype.itemsize
            places[key] = (stream.tell(), length)
            stream.seek(length, io.SEEK_CUR)
    return held


def _span(path: Path, start: int, length: int) -> bytes:
    with path.open("rb") as stream:
        stream.seek(start)
        return stream.read(length)
