"""Take the constants of plans from a run of `spr bench`: `python -m bench.planning bench.json`.

Prints the table of docs/scale.md that follows from them.
"""

import argparse
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bench.planning.costs import FILE, SEGMENT_SECONDS, EncoderCost, constants, interpolated
from bench.planning.plan import Asked, plan
from bench.results import figure, read
from engine.errors import InvalidInput
from engine.files import write_json

# The service of a run has so many shards, of so many segments each.
SHARDS = 2
SERVED = 383_828 // SHARDS


def renewed(report: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    """Return `before` with the values that a full run measured; InvalidInput for a run without them."""
    scale = [row["more"] | {"ms": row["value"]} for row in report["stages"]["scale"]["rows"]]
    sizes = [row for row in scale if "segments" in row]

    def points(name: str, rows: list[dict[str, Any]]) -> list[list[float]]:
        return [[row["segments"], row[name]] for row in rows]

    cached, shard_ms = _figure(report, "search", "p50"), before["shard_ms"]["value"]
    lists = points("ms", [row for row in sizes if row["factory"].startswith("IVF")])
    values = {
        "scan_ms": points("ms", [row for row in sizes if row["factory"].startswith("RaBitQ")]),
        "lists_ms": lists,
        "build_s": points("build_s", sizes[-1:]),
        "fast_ms": [[383_828, _figure(report, "index", "fast")]],
        "flat_ms": [[383_828, _figure(report, "index", "flat")]],
        "contexts_s": _figure(report, "contexts", "ours"),
        "encode_ms": _figure(report, "search", "new") - cached,
        "rank_ms": sum(_figure(report, "search", "floor", name) for name in ("propose_ms", "rank_ms")),
        "path_ms": _figure(report, "search", "overhead") - SHARDS * shard_ms,
        "tail": _figure(report, "search", "p50", "p99_ms") / cached,
    }
    if not values["scan_ms"] or len(lists) < 2:
        raise InvalidInput("The run has too few sizes of codes and of lists of codes; run `make bench`.")
    values |= _at_load(report, interpolated(lists, SERVED, 1.0), shard_ms)
    return {name: about | {"value": values.get(name, about["value"])} for name, about in before.items()}


def _at_load(report: Mapping[str, Any], search_ms: float, shard_ms: float) -> dict[str, float]:
    """Return the CPU of each process for a search when many ask. search_ms: of a shard's index."""
    index, ranker, coordinator = (
        _figure(report, "load", "clients_32", f"{kind}_cpu_ms") for kind in ("index", "ranker", "coordinator")
    )
    return {
        "call_cpu_ms": index / SHARDS - search_ms,
        "rank_cpu_ms": ranker,
        "coordinator_cpu_ms": coordinator - SHARDS * shard_ms,
    }


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
    constants.cache_clear()
    print("\n".join(f"| {' | '.join(row)} |" for row in table()))


def table() -> Iterator[list[str]]:
    """Yield the rows of docs/scale.md: 10^3 to 10^9 segments, ten searches a second, ViT-L/14 on CPUs."""
    encoder = EncoderCost.named("openai/clip-vit-large-patch14")
    for power in range(3, 10):
        hours = 10**power * SEGMENT_SECONDS / 3600
        found = plan(Asked(hours=hours, encoder=encoder, qps=10))
        index, ranker, ingest = found["index"], found["ranker"], found["ingest"]
        yield [
            f"{10**power:,}",
            f"{hours:,.0f}" if hours > 10 else f"{hours:.1f}",
            f"{index['shards']}",
            f"{index['memory_gb']:.2g}",
            _short(ranker["contexts_gb"]),
            f"{found['latency_ms']['new']:.0f}",
            f"{found['total']['cores']}",
            _short(ingest["cpu_hours"]),
        ]


def _short(value: float) -> str:
    return f"{value:.2g}" if value < 100 else f"{float(f'{value:.3g}'):,.0f}"


if __name__ == "__main__":
    main()
