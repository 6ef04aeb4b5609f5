"""Names of examples: COLLECTION/names.json, a sealed file of what the image tower made of their pictures."""

import base64
import binascii
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from engine import sealed
from engine.entries import Version
from engine.errors import InvalidInput, Mismatch, NotFound, quoted
from engine.examples import Frame
from engine.reloaded import Reloaded
from engine.types import Floats

FILE = "names.json"
MOST_NAMES = 1000
_SHOWN = 20  # names in an error
_NAME = re.compile(r"[^\W\d_][\w-]{0,63}")
# Not the domain of an address: somebody@example.org.
_IN_TEXT = re.compile(rf"(?<!\w)@({_NAME.pattern})(?!\w)")
_BETWEEN = " ,;.!?"


@dataclass(frozen=True, slots=True)
class NameEntry:
    """What a name stands for.

    encoder: what encoded the pictures, as `Version.features` names it. pictures: how many. row: their mean,
    see `Frame`, as base64 of little-endian float32.
    """

    encoder: str
    pictures: int
    row: str

    @staticmethod
    def of(encoder: str, rows: Floats) -> "NameEntry":
        """Average the image tower's rows (n, dim): the mean direction, as long as they are."""
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        mean = (rows / np.maximum(lengths, 1e-12)).mean(axis=0)
        mean = mean / max(float(np.linalg.norm(mean)), 1e-12) * lengths.mean()
        return NameEntry(encoder, len(rows), base64.b64encode(mean.astype("<f4").tobytes()).decode())

    def frame(self) -> Frame:
        """Return the stored row."""
        return Frame(np.frombuffer(base64.b64decode(self.row, validate=True), "<f4").astype(np.float32))


@dataclass(frozen=True, slots=True)
class NamesFile:
    """What the file holds. names: lower case, without the "@"."""

    names: Mapping[str, NameEntry] = field(default_factory=dict)


def read(collection: Path) -> NamesFile:
    """Return a collection's names, none where it has no file; Mismatch for a damaged one."""
    path = collection / FILE
    if not path.exists():
        return NamesFile()
    remedy = "delete it and name the pictures again with `spr corpus name`"
    return sealed.read(path, NamesFile, _check, remedy, "NAMES_MISSING")[0]


def write(collection: Path, names: NamesFile) -> None:
    """Write a collection's names, atomically; InvalidInput where there are too many."""
    if len(names.names) > MOST_NAMES:
        raise InvalidInput(f"{collection} would have more than {MOST_NAMES} names; remove some first")
    sealed.write(collection / FILE, names)


def clean(name: str) -> str:
    """Return a name as it is stored; InvalidInput for one that cannot be."""
    bare = name.removeprefix("@")
    if _NAME.fullmatch(bare) is None:
        raise InvalidInput(
            f"{quoted(name)} is no name; write @ and up to 64 letters, digits, - and _, a letter first"
        )
    return bare.casefold()


def split(text: str) -> tuple[str, list[str]]:
    """Return a text without its @names, and those, each once, in order.

    >>> split("@Anna opens the door")
    ('opens the door', ['anna'])
    """
    found = list(dict.fromkeys(match[1].casefold() for match in _IN_TEXT.finditer(text)))
    if not found:
        return text, found
    rest = " ".join(_IN_TEXT.sub(" ", text).split()).strip(_BETWEEN)
    return rest if any(map(str.isalnum, rest)) else "", found


class Names:
    """The names of a collection that is served: read at first use, and again when the file has changed."""

    def __init__(self, collection: Path) -> None:
        self._collection = collection
        self._file: Reloaded[NamesFile] | None = None

    def frame(self, name: str, version: Version, field: str = "") -> Frame:
        """Return what a name stands for; InvalidInput where there is no such name.

        field: of the request that names it. Mismatch where another encoder saw its pictures.
        """
        if self._file is None:
            self._file = Reloaded([self._collection / FILE], lambda: read(self._collection))
        there = self._file.fresh().names
        entry = there.get(name.removeprefix("@").casefold())
        if entry is None:
            message = f"the collection has no name {quoted('@' + name)}; {_told(there)}"
            raise InvalidInput(message, field=field)
        if entry.encoder != version.features:
            raise Mismatch(
                f"@{name} was named with encoder {entry.encoder}, version {version.id} has "
                f"{version.features}; name its pictures again with `spr corpus name`"
            )
        return entry.frame()


def remove(names: NamesFile, name: str) -> NamesFile:
    """Return the names without one; NotFound where it is not there."""
    if (bare := clean(name)) not in names.names:
        raise NotFound(f"the collection has no name {quoted('@' + bare)}; {_told(names.names)}")
    return NamesFile({known: entry for known, entry in names.names.items() if known != bare})


def _told(names: Iterable[str]) -> str:
    """Say what names there are."""
    there = [f"@{name}" for name in sorted(names)]
    if not there:
        return "name some pictures with `spr corpus name @NAME PICTURE...`"
    return "it has " + ", ".join(there[:_SHOWN]) + (" and more" if len(there) > _SHOWN else "")


def _check(names: NamesFile, source: str) -> None:
    for name, entry in names.names.items():
        try:
            row = entry.frame().row
        except (binascii.Error, ValueError):
            row = np.zeros(0, np.float32)
        if not len(row) or not np.isfinite(row).all():
            raise InvalidInput(f"{source}: no name has names.{name}.row")
