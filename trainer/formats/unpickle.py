"""What a torch file holds, read without running any of it.

A pickle is a program: it names functions and calls them. Here it can name anything and reach nothing but
tensors' recipes and plain containers; every other name becomes an `Inert` class, whose making, calling and
filling do nothing. A tensor stays a recipe (`Recipe`) until it is asked for, so what is not wanted, such as
an optimiser's state, is not even read.
"""

import io
import math
import pickle
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import torch

from engine.errors import InvalidInput, NotFound

# How files of torch before 1.6 begin; their storages' bytes follow the pickles.
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
DTYPES = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}
Bytes = Callable[[], bytes]


class Inert:
    """Stands for an object of a class or a function that is not known; `origin` names it."""

    origin = "unknown"

    def __new__(cls, *args: object, **kwargs: object) -> "Inert":
        """Return a stand-in, whatever is given."""
        return object.__new__(cls)

    def __init__(self, *args: object, **kwargs: object) -> None:
        """Keep nothing."""

    def ignore(self, *args: object, **kwargs: object) -> "Inert":
        """Do nothing."""
        return self

    __call__ = __setstate__ = __setitem__ = append = extend = add = ignore


class Plain(dict[Any, Any]):
    """Stands for an OrderedDict, an EasyDict and their like."""

    __slots__ = ()

    def __setstate__(self, state: object) -> None:
        """Take the items of a dict that kept them as attributes alone."""
        if isinstance(state, dict) and not self:
            self.update(state)


@dataclass(frozen=True, slots=True)
class Storage:
    """Numbers in the file: their type, how many, and how to read their bytes."""

    dtype: torch.dtype
    values: int
    read: Bytes


@dataclass(frozen=True, slots=True)
class Recipe:
    """A tensor that has not been read: a view of a storage."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def tensor(self) -> torch.Tensor:
        """Read it; ValueError when it reaches beyond its storage."""
        dtype, values = self.storage.dtype, self.storage.values
        size = math.prod(self.shape)
        last = self.offset + sum((n - 1) * step for n, step in zip(self.shape, self.strides, strict=True))
        if min((self.offset, *self.shape, *self.strides)) < 0 or (size and not size <= values > last):
            raise ValueError(f"a tensor of shape {self.shape} reaches beyond its {values} values")
        if not size:
            return torch.zeros(self.shape, dtype=dtype)
        content = bytearray(self.storage.read())
        if len(content) != values * dtype.itemsize:
            raise ValueError(f"a storage has {len(content)} bytes for its {values} values")
        return (
            torch.frombuffer(content, dtype=dtype).as_strided(self.shape, self.strides, self.offset).clone()
        )


def read_torch(path: Path) -> Any:
    """Return what a file of `torch.save` holds: containers, `Recipe` for tensors, `Inert` for the rest.

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


class _Known:
    """A function that may be called. Not a plain one: a pickle can change a function's attributes."""

    __slots__ = ("_call",)

    def __init__(self, call: Callable[..., Any]) -> None:
        self._call = call

    def __call__(self, *args: Any) -> Any:
        return self._call(*args)


# Not pickle.Unpickler: written in C, it takes memory for whatever number a pickle gives an object.
class _Reader(pickle._Unpickler):
    """Reads one pickle; `content(key)` tells how to read a storage's bytes."""

    def __init__(self, stream: IO[bytes], content: Callable[[str], Bytes]) -> None:
        super().__init__(stream, encoding="utf-8")
        self.content = content
        self.storages: dict[str, Storage] = {}
        self.known: dict[tuple[str, str], Any] = {
            ("collections", "OrderedDict"): Plain,
            ("easydict", "EasyDict"): Plain,
            ("builtins", "dict"): Plain,
            ("builtins", "set"): set,
            ("builtins", "frozenset"): frozenset,
            ("torch._utils", "_rebuild_tensor"): _Known(_recipe),
            ("torch._utils", "_rebuild_tensor_v2"): _Known(_recipe),
            ("torch._utils", "_rebuild_parameter"): _Known(lambda data, *_: data),
            **{("torch", name): dtype for name, dtype in DTYPES.items()},
        }

    def find_class(self, module: str, name: str) -> Any:
        """Return what a name may be here; nothing is imported."""
        module = {"__builtin__": "builtins", "torch.storage": "torch"}.get(module, module)
        if (module, name) not in self.known:
            self.known[module, name] = type("Inert", (Inert,), {"origin": f"{module}.{name}"})
        return self.known[module, name]

    def persistent_load(self, pid: Any) -> Any:
        """Return the storage that a pickle refers to."""
        kind, dtype, key, _, values, *rest = pid
        if kind != "storage" or not isinstance(dtype, torch.dtype) or rest not in ([], [None]):
            raise ValueError(f"it refers to a {str(kind)[:40]} of an unknown form")
        return self.storages.setdefault(str(key), Storage(dtype, int(values), self.content(str(key))))


def _recipe(storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> Recipe:
    if not isinstance(storage, Storage):
        raise ValueError("it has a tensor without a storage")
    return Recipe(storage, int(offset), tuple(map(int, shape)), tuple(map(int, strides)))


def _read_zip(path: Path) -> Any:
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
            raise ValueError("its archive is compressed, and torch writes none that is")
        roots = [name.removesuffix("data.pkl") for name in names if name.rpartition("/")[2] == "data.pkl"]
        if not roots:
            raise ValueError("it is an archive without data.pkl")
        root = min(roots, key=len)
        if f"{root}byteorder" in names and archive.read(f"{root}byteorder") != b"little":
            raise ValueError("it comes from a big-endian machine")
        program = io.BytesIO(archive.read(f"{root}data.pkl"))
    return _Reader(program, lambda key: _entry(path, f"{root}data/{key}")).load()


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
        if stream.peek(1)[:1] != b"\x80" or _Reader(stream, content).load() != LEGACY_MAGIC:
            raise ValueError("it does not begin as one")
        _, system = (_Reader(stream, content).load() for _ in range(2))
        if not system.get("little_endian", True):
            raise ValueError("it comes from a big-endian machine")
        reader = _Reader(stream, content)
        held = reader.load()
        for key in _Reader(stream, content).load():
            values = struct.unpack("<q", stream.read(8))[0]
            length = values * reader.storages[key].dtype.itemsize
            places[key] = (stream.tell(), length)
            stream.seek(length, io.SEEK_CUR)
    return held


def _span(path: Path, start: int, length: int) -> bytes:
    with path.open("rb") as stream:
        stream.seek(start)
        return stream.read(length)
