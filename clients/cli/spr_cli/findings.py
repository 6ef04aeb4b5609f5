"""What `spr doctor` finds: one sentence a finding, with its remedy where something is wrong."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

Severity = Literal["ok", "warning", "error"]


@dataclass(frozen=True, slots=True)
class Finding:
    """about: what was looked at, one word ("disk"). facts: the figures in `said`, for --json."""

    severity: Severity
    about: str
    said: str
    facts: Mapping[str, object] = field(default_factory=dict)


Findings = Iterator[Finding]


def size(count: float) -> str:
    """Return bytes for people: "3.2 GB"."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.4g} TB"
