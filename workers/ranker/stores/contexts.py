"""Contexts that were encoded when the part was made: one vector a clip and stream, the vectors mapped.

    encoded/encoded.json             format, fingerprint of the ranker, hidden, dtype, step, clips, videos
    encoded/offsets.npy              int64 (videos + 1,): video v owns rows [offsets[v], offsets[v + 1])
    encoded/<modality>.npy           (clips, width) unit vectors as `rounding` stores them; video and subtitle
    encoded/<modality>.norms.npy     float16 (clips,): lengths of the vectors before they were made unit
    encoded/<modality>.scales.npy    float16 (clips,), not of float16 rows: what a row is multiplied by

Only final features are kept. A ranker serves from the contexts that itself encoded and from no others.
"""

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import numpy as np
from numpy.typing import NDArray

from engine.errors import InvalidInput, Mismatch, NotFound
from engine.files import read_json, sync, write_json
from engine.types import Floats, Ordinals
from workers.ranker.stores.joined import AnyRows, Counts, arrays_of, bases_of, joined, offsets_of, places
from workers.ranker.stores.npy import save, write_header
from workers.ranker.stores.rounding import FORMATS, ContextType, element, restored, rounded, width

DIRECTORY = "encoded"
VIDEO, SUBTITLE = "video", "subtitle"
MODALITIES = (VIDEO, SUBTITLE)


@dataclass(frozen=True, slots=True)
class EncodedStream:
    """One modality: unit (clips, width) as stored; factors turn its dot products into cosines and r.

    norms: (clips,) float16. scales: (clips,) float16, None for float16 rows, which need none. hidden: numbers
    of a vector.
    """

    unit: AnyRows
    norms: AnyRows
    scales: AnyRows | None
    hidden: int

    def parts(self) -> list[tuple[NDArray[Any], NDArray[np.float16], NDArray[np.float16] | None]]:
        """Return unit, norms and scales of each part."""
        units, norms = arrays_of(self.unit), arrays_of(self.norms)
        scales = [None] * len(units) if self.scales is None else arrays_of(self.scales)
        return list(zip(units, norms, scales, strict=True))

    def units(self, rows: NDArray[np.int64] | slice) -> Floats:
        """Return unit vectors (n, h) float32 of some rows."""
        return restored(self.unit[rows], None if self.scales is None else self.scales[rows], self.hidden)


@dataclass(frozen=True, slots=True)
class EncodedStore:
    """Read-only contexts of videos 0..n-1. step: seconds a clip.

    ranker: the fingerprint of the model that encoded them. starts, clips: (n,) int64, the first row of every
    video and how many it has.
    """

    ranker: str
    hidden: int
    dtype: ContextType
    step: float
    starts: Counts
    clips: Counts
    streams: Mapping[str, EncodedStream]

    @staticmethod
    def there(part: Path) -> bool:
        """Tell whether a part has stored contexts."""
        return (part / DIRECTORY / "encoded.json").is_file()

    @staticmethod
    def open(part: Path) -> "EncodedStore":
        """Map a part's stored contexts; NotFound without them, Mismatch when they are not whole."""
        directory = part / DIRECTORY
        if not EncodedStore.there(part):
            raise NotFound(f"{directory} holds no stored contexts; run `spr build` with --contexts float16")
        about = read_json(directory / "encoded.json")
        if FORMATS.get(about.get("dtype", "")) != about.get("format"):
            found = f"contexts of format {about.get('format')}, dtype {about.get('dtype')}"
            known = ", ".join(f"{number} of {dtype}" for dtype, number in FORMATS.items())
            raise Mismatch(f"{directory} has {found}, this version reads {known}; run `spr build` again")
        offsets = np.load(directory / "offsets.npy")
        streams = {name: _open_stream(directory, name, about, int(offsets[-1])) for name in MODALITIES}
        kind = about["ranker"], about["hidden"], about["dtype"], float(about["step"])
        return EncodedStore(*kind, offsets[:-1], np.diff(offsets), streams)

    @staticmethod
    def of_parts(
        parts: Sequence["EncodedStore"], ordinals: Sequence[Ordinals], videos: int | None = None
    ) -> "EncodedStore":
        """Return a version's view of its parts' contexts, by ordinal; Mismatch where these are not alike.

        parts: one or more. ordinals: of each part's videos, -1 for a deleted one. videos: of the version,
        where the parts are not all of its parts.
        """
        kinds = {part.kind for part in parts}
        if len(kinds) != 1:
            raise Mismatch(f"parts have contexts of {sorted(kinds)}, which differ; run `spr build` again")
        streams = {name: _joined([part.streams[name] for part in parts]) for name in MODALITIES}
        bases = bases_of([array for part in parts for array in arrays_of(part.streams[VIDEO].norms)])
        rows = ([part.starts for part in parts], [part.clips for part in parts])
        where = places(*rows, bases, ordinals, videos)
        return EncodedStore(*parts[0].kind, *where, streams)

    @property
    def kind(self) -> tuple[str, int, ContextType, float]:
        """What stores must have in common to be read as one: ranker, width, dtype, step."""
        return self.ranker, self.hidden, self.dtype, self.step

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def bytes(self) -> int:
        """Size of all vectors, norms and scales."""
        return sum(array.nbytes for array in self.arrays())

    def arrays(self) -> list[NDArray[Any]]:
        """Everything that ranking reads, part by part."""
        parts = [part for stream in self.streams.values() for part in stream.parts()]
        return [array for part in parts for array in part if array is not None]


def _joined(streams: Sequence[EncodedStream]) -> EncodedStream:
    units, norms, scales = zip(*(part for stream in streams for part in stream.parts()), strict=True)
    whole = None if scales[0] is None else joined(scales)
    return EncodedStream(joined(units), joined(norms), whole, streams[0].hidden)


def _open_stream(directory: Path, name: str, about: dict[str, Any], clips: int) -> EncodedStream:
    unit = np.load(directory / f"{name}.npy", mmap_mode="r")
    norms = np.load(directory / f"{name}.norms.npy")
    scales = None
    if about["dtype"] != "float16":
        scales = np.load(directory / f"{name}.scales.npy")
    whole = unit.shape == (clips, width(about["hidden"], about["dtype"])) and norms.shape == (clips,)
    if (
        not whole
        or unit.dtype != element(about["dtype"])
        or (scales is not None and scales.shape != (clips,))
    ):
        raise Mismatch(f"{directory / name}.npy does not fit encoded.json; run `spr build` again")
    return EncodedStream(unit, norms, scales, about["hidden"])


def write_encoded(
    directory: Path,
    hidden: int,
    step: float,
    dtype: ContextType,
    videos: Iterable[tuple[Floats, Floats]],
    fingerprint: str,
) -> None:
    """Write contexts into `directory`, a part's `encoded`; nothing here is atomic, all is synced.

    videos: by number, video (n, hidden) and subtitle (n, hidden), as the ranker's encoder gives them.
    fingerprint: the ranker's. InvalidInput when a vector is not of this width, or not finite in float16.
    """
    directory.mkdir(parents=True, exist_ok=True)
    counts: list[int] = []
    with contextlib.ExitStack() as stack:
        writers = [stack.enter_context(_Writer(directory / name, hidden, dtype)) for name in MODALITIES]
        for arrays in videos:
            sizes = {array.shape for array in arrays}
            if len(sizes) != 1 or arrays[0].ndim != 2 or arrays[0].shape[1] != hidden:
                message = (
                    f"contexts of video {len(counts)} have shapes {sorted(sizes)}, not (n, {hidden}) twice"
                )
                raise InvalidInput(f"{message}; encode them with the ranker that is to read them")
            for writer, array in zip(writers, arrays, strict=True):
                writer.append(array)
            counts.append(len(arrays[0]))
    offsets = offsets_of(counts)
    save(directory / "offsets.npy", offsets)
    about = {"format": FORMATS[dtype], "ranker": fingerprint, "hidden": hidden, "dtype": dtype, "step": step}
    about |= {"modalities": list(MODALITIES), "clips": int(offsets[-1]), "videos": len(counts)}
    write_json(directory / "encoded.json", about)


def encoded_in_memory(hidden: int, step: float, videos: Iterable[tuple[Floats, Floats]]) -> EncodedStore:
    """Return contexts in half precision as `write_encoded` stores them, of a ranker that has no name yet."""
    arrays = list(videos)
    offsets = offsets_of([len(video) for video, _ in arrays])
    streams = {}
    for side, name in enumerate(MODALITIES):
        none = np.zeros((0, hidden), np.float32)
        unit, norms = unit_and_norms(np.concatenate([none, *(pair[side] for pair in arrays)]))
        streams[name] = EncodedStream(unit.astype(np.float16), norms, None, hidden)
    return EncodedStore("", hidden, "float16", step, offsets[:-1], np.diff(offsets), streams)


def unit_and_norms(vectors: Floats) -> tuple[Floats, NDArray[np.float16]]:
    """Return (n, hidden) vectors as unit vectors and lengths; InvalidInput where these do not fit float16."""
    lengths = np.sqrt(np.einsum("nd,nd->n", vectors, vectors, dtype=np.float32))
    with np.errstate(over="ignore"):
        norms = lengths.astype(np.float16)
    if not np.isfinite(norms).all():
        raise InvalidInput("a context is not finite, or longer than float16 holds; use --contexts none")
    return vectors / np.maximum(lengths, np.finfo(np.float32).tiny)[:, None], norms


class _Writer:
    """Appends one modality's vectors, and its norms and scales when it is closed."""

    def __init__(self, path: Path, hidden: int, dtype: ContextType) -> None:
        self._path, self._hidden, self._dtype = path, hidden, dtype
        self._file: BinaryIO = path.with_name(f"{path.name}.npy").open("wb")
        self._norms: list[NDArray[np.float16]] = []
        self._scales: list[NDArray[np.float16]] = []
        self._header(0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._file:
            if error is None:
                self._file.seek(0)
                self._header(sum(len(part) for part in self._norms))
        if error is not None:
            return
        sync(self._path.with_name(f"{self._path.name}.npy"))
        extras = {"norms": self._norms} | ({"scales": self._scales} if self._dtype != "float16" else {})
        for name, parts in extras.items():
            path = self._path.with_name(f"{self._path.name}.{name}.npy")
            save(path, np.concatenate([np.zeros(0, np.float16), *parts]))

    def append(self, vectors: Floats) -> None:
        """Write (n, hidden) vectors as unit vectors and norms."""
        unit, norms = unit_and_norms(vectors)
        rows, scales = rounded(unit, self._dtype)
        if scales is not None:
            self._scales.append(scales)
        self._file.write(np.ascontiguousarray(rows).tobytes())
        self._norms.append(norms)

    def _header(self, rows: int) -> None:
        write_header(self._file, (rows, width(self._hidden, self._dtype)), element(self._dtype))
