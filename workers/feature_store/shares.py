"""Several writers of one feature store: each has a share of the work, and parts that it alone writes.

    <store>/               part 0
    <store>/parts/<k>/     part k, a store of its own; readers see the union

Whoever writes a share holds `lock` shared, and alone the lock of each part that is its own; whoever writes
the whole holds `lock` alone.
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from engine.errors import InvalidInput
from workers.feature_store.journal import JOURNAL

PARTS = "parts"
MOST = 1000
_SHARE = re.compile(r"([0-9]{1,4})/([0-9]{1,4})")


@dataclass(frozen=True, slots=True)
class Share:
    """The work of one writer of `count`. index: 0 to count - 1, also the part that new videos go to."""

    index: int = 0
    count: int = 1

    @staticmethod
    def parse(text: str) -> "Share":
        """Read I/N; InvalidInput for what is none."""
        match = _SHARE.fullmatch(text)
        index, count = (int(match[1]), int(match[2])) if match else (0, 0)
        if not index < count <= MOST:
            raise InvalidInput(
                f"{text!r} is no share of the work: write I/N, I from 0 to N - 1 and N at most {MOST}, as 0/4"
            )
        return Share(index, count)

    @property
    def whole(self) -> bool:
        """Whether there is no other writer."""
        return self.count == 1

    def has(self, part: int) -> bool:
        """Whether a part of the store is this writer's; each is one's, also of a run with more writers."""
        return part % self.count == self.index

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"


WHOLE = Share()


def parts_of(path: Path) -> list[int]:
    """Return the numbers of a store's parts besides 0, sorted; not one that is being made. Raises OSError."""
    try:
        names = os.listdir(path / PARTS)
    except FileNotFoundError:
        return []
    numbers = sorted(int(name) for name in names if re.fullmatch(r"[1-9][0-9]{0,3}", name))
    # A part that lost its header is to be missed.
    return [
        number
        for number in numbers
        if any((path / PARTS / str(number) / name).exists() for name in ("store.json", JOURNAL))
    ]


def part_path(path: Path, part: int) -> Path:
    """Return the directory of a part."""
    return path / PARTS / str(part) if part else path
