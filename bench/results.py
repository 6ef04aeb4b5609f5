"""The figures of a stage, and the JSON object of a run."""

import dataclasses
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from bench.sizes import Sizes
from engine.cores import cores
from engine.errors import InvalidInput
from engine.files import read_json

FORMAT = 1
# The environment variable with the id of a run, the same for all its stages.
RUN = "SPR_BENCH_RUN"
Way = Literal["ours", "published", "floor"]
_PACKAGES = (
    "numpy",
    "torch",
    "faiss-cpu",
    "faiss-gpu",
    "numba",
    "onnxruntime",
    "grpcio",
    "protobuf",
    "transformers",
)


@dataclass(frozen=True, slots=True)
class Setup:
    """How a stage runs. cache: a directory for what is made once. threads: of stages that use many."""

    sizes: Sizes
    cache: Path
    threads: int = 2


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure. key: its name inside the stage. more: further figures of the same thing, by name."""

    key: str
    label: str
    way: Way
    value: float
    unit: str = "ms"
    more: Mapping[str, float | int | str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a stage found. notes: what a reader must know to read the figures."""

    rows: list[Figure]
    notes: list[str] = field(default_factory=list)


def to_json(outcome: Outcome) -> dict[str, Any]:
    """Return an outcome as JSON values, figures with five significant digits."""
    rows = [dataclasses.asdict(row) for row in outcome.rows]
    for row in rows:
        row["value"] = _short(row["value"])
        row["more"] = {name: _short(value) for name, value in row["more"].items()}
    return {"rows": rows, "notes": outcome.notes}


def figure(report: Mapping[str, Any], stage: str, key: str, name: str = "") -> float | None:
    """Return a row's value, or the one of `more` that is called `name`; None where it was not measured."""
    for row in report["stages"].get(stage, {}).get("rows", []):
        if row["key"] == key:
            value = row["more"].get(name) if name else row["value"]
            return None if value is None else float(value)
    return None


def machine() -> dict[str, Any]:
    """Return what the figures depend on: processor, cores, memory, GPU, versions."""
    return {
        "processor": _processor(),
        "cores": cores(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "packages": {name: version for name in _PACKAGES if (version := _version(name))},
    }


def read(path: Path) -> dict[str, Any]:
    """Read the JSON of a run; InvalidInput for a file that is not one."""
    try:
        report = read_json(path)
        if report["format"] == FORMAT and isinstance(report["stages"], dict):
            return dict(report)
    except (ValueError, KeyError, TypeError, FileNotFoundError):
        raise InvalidInput(
            f"{path} is not a report of `spr bench`; name the bench.json of a run with --out"
        ) from None
    raise InvalidInput(f"{path} is a report of another format; run `spr bench` again")


def _short(value: float | int | str) -> float | int | str:
    return float(f"{value:.5g}") if isinstance(value, float) else value


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown")


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""
