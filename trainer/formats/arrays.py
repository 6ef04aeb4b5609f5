"""HDF5 files of arrays by name."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import h5py
import numpy as np
from numpy.typing import NDArray

from engine.errors import InvalidInput
from engine.files import replacing

MASK = "-mask"


class Arrays:
    """The arrays of one file. shapes: of every array by name.

    `<name>-mask` beside a name is not one of them; masks: the shapes of those by name.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._file = h5py.File(path, "r")
        except OSError as error:
            raise InvalidInput(f"{path} is no HDF5 file ({error}); fetch it again.") from error
        shapes = {name: getattr(value, "shape", None) for name, value in self._file.items()}
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.masks: dict[str, tuple[int, ...] | None] = {}
        for name, shape in shapes.items():
            if name.endswith(MASK) and name.removesuffix(MASK) in shapes:
                self.masks[name.removesuffix(MASK)] = shape
                continue
            if shape is None:
                raise InvalidInput(f"{path}: {name!r} is a group; arrays must lie at the top of the file.")
            self.shapes[name] = shape

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def __getitem__(self, name: str) -> NDArray[Any]:
        array: NDArray[Any] = self._file[name][()]
        return array

    def width(self, axes: int, names: Iterable[str] | None = None) -> int:
        """Return the last dimension of the named arrays (None: all); InvalidInput where they differ."""
        shapes = {name: self.shapes[name] for name in (self.shapes if names is None else names)}
        widths = {shape[-1] for shape in shapes.values() if len(shape) == axes}
        odd = [name for name, shape in shapes.items() if len(shape) != axes]
        if odd or len(widths) != 1:
            name = odd[0] if odd else next(iter(shapes), "nothing")
            raise InvalidInput(
                f"{self.path} holds arrays of widths {sorted(widths)} and {len(odd)} with another number of "
                f"axes than {axes}, such as {name!r}; it must be one width, {axes} axes."
            )
        return int(widths.pop())


@contextmanager
def writing(path: Path) -> Iterator[h5py.File]:
    """Yield a new HDF5 file; it is there, whole, when the block ends."""
    with replacing(path) as partial, h5py.File(partial, "w") as file:
        yield file


def put(file: h5py.File, name: str, array: NDArray[Any]) -> None:
    """Add one array as float32, as the published loaders want it."""
    file.create_dataset(name, data=np.ascontiguousarray(array, np.float32))
