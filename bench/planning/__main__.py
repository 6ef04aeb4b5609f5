"""Take the constants of plans from a run of `spr bench`: `python -m bench.planning bench.json`."""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.planning.costs import FILE, constants
from bench.results import figure, read
from engine.errors import InvalidInput
from engine.files import write_json


def renewed(report: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    """Return `before` with the values that a full run measured; InvalidInput for a run without them."""
    scale = [row["more"] | {"ms": row["value"]} for row in report["stages"]["scale"]["rows"]]
    sizes = [row for row in scale if "segments" in row]

    def points(name: str, rows: list[dict[str, Any]]) -> list[list[float]]:
        return [[row["segments"], row[name]] for row in rows]

    cached, shard_ms = _figure(report, "search", "p50"), before["shard_ms"]["value"]
    values = {
        "scan_ms": points("ms", [row for row in sizes if row["factory"].startswith("RaBitQ")]),
        "lists_ms": points("ms", [row for row in sizes if row["factory"].startswith("IVF")]),
        "build_s": points("build_s", sizes[-1:]),
        "fast_ms": [[383_828, _figure(report, "index", "fast")]],
        "flat_ms": [[383_828, _figure(report, "index", "flat")]],
        "contexts_s": _figure(report, "contexts", "ours"),
        "encode_ms": _figure(report, "search", "new") - cached,
        "rank_ms": sum(_figure(report, "search", "floor", name) for name in ("propose_ms", "rank_ms")),
        "coordinator_ms": _figure(report, "search", "overhead") - 2 * shard_ms,
        "tail": _figure(report, "search", "p50", "p99_ms") / cached,
    }
    if not values["scan_ms"] or len(values["lists_ms"]) < 2:
        raise InvalidInput("The run has too few sizes of codes and of lists of codes; run `make bench`.")
    return {name: about | {"value": values.get(name, about["value"])} for name, about in before.items()}


def _figure(report: Mapping[str, Any], stage: str, key: str, name: str = "") -> float:
    value = figure(report, stage, key, name)
    if value is None:
        raise InvalidInput(f"The run has no figure {key!r} of stage {stage!r}; run `make bench`.")
    return value


def main() -> None:
    """Write constants.json anew."""
    parser = argparse.ArgumentParser(prog="python -m bench.planning", description=__doc__)
    parser.add_argument("report", type=Path)
    write_json(FILE, renewed(read(parser.parse_args().report), constants()))


if __name__ == "__main__":
    main()
