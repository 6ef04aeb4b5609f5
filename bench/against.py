"""A run against an earlier one: figures as multiples of their floors, so that any two machines compare."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bench.results import figure
from engine.errors import InvalidInput

MOST = 1.5  # times an earlier figure that a figure may be
_TIMES = ("ms", "s")
# Its floor is what the stages of a search computed: it grows with what it is compared with.
_OF_OURS = "search"


@dataclass(frozen=True, slots=True)
class Change:
    """A figure of ours in two runs. factor: how many times as slow it is now, floors taken into account."""

    stage: str
    key: str
    label: str
    factor: float

    @property
    def worse(self) -> bool:
        """Whether it is beyond MOST."""
        return self.factor > MOST

    def __str__(self) -> str:
        return f"{self.stage}, {self.label}: {self.factor:.2f} times as slow as before, {MOST:g} are allowed"


def changes(now: Mapping[str, Any], before: Mapping[str, Any]) -> list[Change]:
    """Return what both runs measured, the worst first; InvalidInput where nothing can be compared."""
    if now["sizes"] != before["sizes"]:
        raise InvalidInput(
            f"the run to compare with is of sizes {before['sizes']!r}, this one is of {now['sizes']!r}; "
            "name a bench.json of the same sizes with --against"
        )
    known = {(stage, key): cost for stage, key, _, cost in _costs(before)}
    found = [
        Change(stage, key, label, cost / known[stage, key])
        for stage, key, label, cost in _costs(now)
        if (stage, key) in known
    ]
    if not found:
        raise InvalidInput("the two runs have no figure in common; name a run of the same stages")
    return sorted(found, key=lambda change: -change.factor)


def _costs(report: Mapping[str, Any]) -> Iterator[tuple[str, str, str, float]]:
    """Yield stage, key, label and cost of each figure of speed: a multiple of its floor, less is better."""
    memory = figure(report, "floor", "read_1")
    if not memory:
        raise InvalidInput(
            "a run without stage floor cannot be compared; measure it too: spr bench floor ..."
        )
    for stage, found in report["stages"].items():
        for row in found["rows"]:
            unit, value = row["unit"], row["value"]
            if row["way"] != "ours" or not value or not (unit in _TIMES or unit.endswith("/s")):
                continue
            seconds = value / 1000 if unit == "ms" else value if unit == "s" else 1 / value
            # Where a stage has no floor of its own, all is as fast as the memory.
            floor = _floor(found, unit) if stage != _OF_OURS else None
            cost = seconds * memory if floor is None else value / floor
            yield stage, row["key"], row["label"], cost


def _floor(stage: Mapping[str, Any], unit: str) -> float | None:
    """Return the floor of a stage's times, None without one in their unit."""
    return next((row["value"] for row in stage["rows"] if (row["key"], row["unit"]) == ("floor", unit)), None)
