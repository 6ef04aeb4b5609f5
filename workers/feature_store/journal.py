"""The feature store's journal: numbered, checksummed lines in two files, each of which repairs the other.

A line is a JSON object; `n` counts lines from 0 and `crc`, its last member, is the CRC-32 of what stands
before it. A line counts as written once both files hold it: damage to one of them loses nothing, and a line
that both lost leaves a gap in the numbers.
"""

import json
import os
import re
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from engine.errors import Mismatch
from engine.files import MALFORMED, json_value, replacing
from engine.printable import printable
from workers.feature_store.format import settle, write_at

JOURNAL, COPY = "journal.jsonl", "journal.copy.jsonl"
_SEAL = re.compile(rb', "crc": "([0-9a-f]{8})"}\n\Z')


def sealed(number: int, entry: Mapping[str, Any]) -> bytes:
    """Return an entry as the journal's line of that number; ValueError for what is no JSON."""
    body = json.dumps({"n": number, **entry}, ensure_ascii=False, allow_nan=False)[:-1].encode()
    return body + b', "crc": "%08x"}\n' % zlib.crc32(body)


def unsealed(line: bytes) -> dict[str, Any] | None:
    """Return a line's entry, None where a byte of it is not as it was written."""
    seal = _SEAL.search(line)
    if seal is None or zlib.crc32(line[: seal.start()]) != int(seal[1], 16):
        return None
    entry: dict[str, Any] = json.loads(line)
    return entry


class _File:
    """One of the two files, read on from where the last whole line ended."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines: dict[int, bytes] = {}
        self._inode = self._read_to = self.count = 0

    def read(self) -> dict[int, bytes]:
        """Return the new whole lines by number; what follows the last of them is read again next time."""
        try:
            with self.path.open("rb") as file:
                status = os.fstat(file.fileno())
                if (status.st_ino, True) != (self._inode, status.st_size >= self._read_to):
                    self._inode, self._read_to, self.count = status.st_ino, 0, 0
                file.seek(self._read_to)
                new = file.read()
        except FileNotFoundError:
            return {}
        found, place = {}, self._read_to
        for line in new.splitlines(keepends=True):
            place += len(line)
            if (entry := unsealed(line)) is not None:
                found[int(entry["n"])] = line
                self._read_to = place
        self.count += len(found)
        return found


class Journal:
    """The entries of a store, in order. A writer calls `mend` once before `append`."""

    def __init__(self, path: Path) -> None:
        """path: the store's directory."""
        self.path = path
        self.lines = 0
        self._journal, self._copy = _File(path / JOURNAL), _File(path / COPY)
        self._handles: list[BinaryIO] = []
        self._size = 0

    def read(self) -> list[dict[str, Any]]:
        """Return the entries that came since the last call; Mismatch where both files lost one."""
        # The copy is written last: read first, it never has a line that the journal is yet to get.
        found = {**self._copy.read(), **self._journal.read()}
        entries = []
        while (line := found.pop(self.lines, None)) is not None:
            entries.append(json.loads(line))
            self.lines += 1
        if lost := [number for number in found if number > self.lines]:
            raise Mismatch(
                f"{self._journal.path} and {COPY} beside it are both damaged at line {self.lines + 1} "
                f"of {max(lost) + 1}; restore one of the two from a backup, or move {self.path} away and "
                "ingest again"
            )
        return entries

    @property
    def damage(self) -> str | None:
        """A sentence where the journal has lost lines that its copy has kept."""
        lost = self.lines - self._journal.count
        if lost <= 0:
            return None
        return (
            f"{self._journal.path} has lost {lost} of {self.lines} lines; nothing is lost, for {COPY} beside "
            "it has them, and the next ingest mends it"
        )

    def mend(self) -> None:
        """Let both files have every line and nothing else, and open them for writing."""
        contents = [_content(file.path) for file in (self._journal, self._copy)]
        whole: dict[int, bytes] = {}
        for content in contents:
            for line in content.splitlines(keepends=True):
                if (entry := unsealed(line)) is not None:
                    whole[int(entry["n"])] = line
        right = b"".join(whole[number] for number in range(self.lines))
        for file, content in zip((self._journal, self._copy), contents, strict=True):
            if content != right or not file.path.exists():
                _replace(file.path, right)
        settle(self.path)
        self._size = len(right)
        self._handles = [file.path.open("r+b", buffering=0) for file in (self._journal, self._copy)]

    def start(self, entries: Sequence[Mapping[str, Any]]) -> None:
        """Begin anew with these entries; until both files are there, what was there before counts."""
        lines = b"".join(sealed(number, entry) for number, entry in enumerate(entries))
        _replace(self._copy.path, lines)
        _replace(self._journal.path, lines)

    def append(self, entries: Sequence[Mapping[str, Any]]) -> None:
        """Write entries; on return they survive a power cut. A failed write leaves none of them."""
        lines = b"".join(sealed(self.lines + number, entry) for number, entry in enumerate(entries))
        try:
            for handle in self._handles:
                write_at(handle, self._size, lines)
        except BaseException:
            for handle in self._handles:
                os.ftruncate(handle.fileno(), self._size)
            raise
        self._size += len(lines)
        self.lines += len(entries)
        self._journal.count += len(entries)

    def close(self) -> None:
        """Close what `mend` opened."""
        for handle in self._handles:
            handle.close()


def unnumbered(path: Path) -> list[dict[str, Any]]:
    """Return the entries of a journal of format 1, whose lines have neither numbers nor checksums.

    Raises Mismatch for a line that does not parse, but for the last: a killed writer leaves it torn.
    """
    lines = _content(path / JOURNAL).splitlines(keepends=True)
    entries: list[dict[str, Any]] = []
    for number, line in enumerate(lines, 1):
        try:
            entry = json_value(line.decode(), parse_constant=_refuse)
            if not line.endswith(b"\n") or not isinstance(entry["streams"], dict):
                raise ValueError("it is no video's")
            # Format 1 took any name for an id.
            entries.append({**entry, "id": printable(entry["id"])})
        except (*MALFORMED, RecursionError) as error:
            if number == len(lines):
                break
            raise Mismatch(
                f"{path / JOURNAL} is damaged in line {number} of {len(lines)} ({error}); restore it from a "
                f"backup, or move {path} away and ingest again"
            ) from error
    return entries


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _content(path: Path) -> bytes:
    return path.read_bytes() if path.exists() else b""


def _replace(path: Path, content: bytes) -> None:
    with replacing(path) as partial:
        partial.write_bytes(content)
