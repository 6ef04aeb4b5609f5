"""Files of arrays by name: HDF5, and folders of .npy files.

Only numbers that lie in the file itself are read. HDF5 can also name other files, by external links, external
storage and virtual data sets; with these a stranger's file would bring in whatever the reader may open.
"""

import io
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import h5py
import numpy as np
from numpy.typing import NDArray

from engine.errors import InvalidInput
from engine.files import replacing

MASK = "-mask"
# Of what is larger than this the file must hold a fair share; compression does not make features so small.
SMALL, SHARE = 16 << 20, 16


class Arrays:
    """The arrays of one HDF5 file. shapes: of every array by name.

    `<name>-mask` beside a name is not one of them; masks: the shapes of those by name. InvalidInput names
    what is no plain array of numbers in this very file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._file = h5py.File(path, "r")
        except OSError as error:
            raise InvalidInput(f"{path} is no HDF5 file ({error}); fetch it again.") from error
        try:
            shapes = {name: self._shape(name) for name in self._file}
        except (OSError, RuntimeError, KeyError, ValueError) as error:
            self._file.close()
            raise InvalidInput(f"{path} is damaged ({error}); fetch it again.") from error
        except InvalidInput:
            self._file.close()
            raise
        masked = {name for name in shapes if name.endswith(MASK) and name.removesuffix(MASK) in shapes}
        self.shapes = {name: shape for name, shape in shapes.items() if name not in masked}
        self.masks = {name.removesuffix(MASK): shapes[name] for name in masked}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def __getitem__(self, name: str) -> NDArray[Any]:
        try:
            array: NDArray[Any] = self._file[name][()]
        except (OSError, RuntimeError) as error:
            raise InvalidInput(f"{self.path}: {name!r} is damaged ({error}); fetch it again.") from error
        return array

    def width(self, axes: int, names: Iterable[str] | None = None) -> int:
        """Return the last dimension of the named arrays (None: all); InvalidInput where they differ."""
        return one_width(self.path, self.shapes, axes, names)

    def _shape(self, name: str) -> tuple[int, ...]:
        """Return an array's shape without reading it; InvalidInput for what is no plain local data set."""
        if not isinstance(self._file.get(name, getlink=True), h5py.HardLink):
            raise InvalidInput(f"{self.path}: {name!r} is a link; write the array itself into the file.")
        found = self._file[name]
        if not isinstance(found, h5py.Dataset):
            raise InvalidInput(f"{self.path}: {name!r} is a group; arrays must lie at the top of the file.")
        if found.external or found.is_virtual:
            raise InvalidInput(f"{self.path}: {name!r} lies in another file; write the array into this one.")
        if found.shape is None or found.dtype.kind not in "fiub":
            raise InvalidInput(f"{self.path}: {name!r} is of type {found.dtype}; write an array of numbers.")
        if found.nbytes > max(SMALL, SHARE * found.id.get_storage_size()):
            raise InvalidInput(
                f"{self.path}: {name!r} has shape {found.shape}, which the bytes there are cannot fill; "
                "fetch the file again."
            )
        return tuple(map(int, found.shape))


class Folder:
    """The arrays of a folder's .npy files, by their names without the ending. shapes: by name."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.shapes = {file.stem: self._mapped(file).shape for file in sorted(path.glob("*.npy"))}

    def __getitem__(self, name: str) -> NDArray[Any]:
        return np.array(self._mapped(self.path / f"{name}.npy"))

    def width(self, axes: int) -> int:
        """Return the last dimension of all arrays; InvalidInput where they differ."""
        return one_width(self.path, self.shapes, axes, None)

    @staticmethod
    def _mapped(file: Path) -> NDArray[Any]:
        # Mapped: a header that promises more than the file holds is found out without the room for it.
        try:
            array: NDArray[Any] = np.load(file, mmap_mode="r", allow_pickle=False)
        except Exception as error:  # Its header is an expression, which fails as anything.
            raise InvalidInput(f"{file} is no array of numbers ({error}); fetch it again.") from error
        if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiub":
            raise InvalidInput(f"{file} is no array of numbers; fetch it again.")
        return array


class ArrayReader(Protocol):
    """Arrays by name."""

    def __getitem__(self, name: str) -> NDArray[Any]: ...


def one_width(
    path: Path, shapes: Mapping[str, tuple[int, ...]], axes: int, names: Iterable[str] | None
) -> int:
    """Return the last dimension of the named arrays (None: all); InvalidInput where they differ."""
    named = {name: shapes[name] for name in (shapes if names is None else names)}
    widths = {shape[-1] for shape in named.values() if len(shape) == axes}
    odd = [name for name, shape in named.items() if len(shape) != axes]
    if odd or len(widths) != 1:
        name = odd[0] if odd else next(iter(named), "nothing")
        raise InvalidInput(
            f"{path} holds arrays of widths {sorted(widths)} and {len(odd)} with another number of "
            f"axes than {axes}, such as {name!r}; it must be one width, {axes} axes."
        )
    return int(widths.pop())


class NewFile:
    """An HDF5 file that is being written."""

    def __init__(self, file: h5py.File, disk: "_Disk") -> None:
        self._file, self._disk = file, disk

    def put(self, name: str, array: NDArray[Any]) -> None:
        """Add one array as float32, as the published loaders want it; OSError where there is no room."""
        self._file.create_dataset(name, data=np.ascontiguousarray(array, np.float32))
        self._disk.check()


@contextmanager
def writing(path: Path) -> Iterator[NewFile]:
    """Yield a new HDF5 file; it is there, whole, when the block ends."""
    with replacing(path) as partial, _Disk(partial, "x+") as disk:
        disk.told = path
        with h5py.File(disk, "w") as file:
            yield NewFile(file, disk)
        disk.check()


class _Disk(io.FileIO):
    """A file that keeps what a full disk refuses to itself: of a failed write HDF5 crashes the process.

    told: what it is called in errors.
    """

    told: Path
    _failed: OSError | None = None

    def write(self, data: Any, /) -> int:
        """Write all of `data`, as far as the disk lets."""
        rest = memoryview(data).cast("B")
        with self._keeping():
            while len(rest):
                rest = rest[super().write(rest) :]
        return len(data)

    def truncate(self, size: int | None = None, /) -> int:
        """Cut the file, or make it longer, as far as the disk lets."""
        with self._keeping():
            super().truncate(size)
        return self.tell() if size is None else size

    def check(self) -> None:
        """Raise what a write failed of."""
        if self._failed is not None:
            raise OSError(self._failed.errno, self._failed.strerror, str(self.told))

    @contextmanager
    def _keeping(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self._failed = self._failed or error
