"""Reckons a plan: what serves a corpus at so many queries a second, and what making it takes.

Every search visits every shard, so index CPU grows with shards times queries; a worker searches on one
thread. Latencies are of a service at rest; capacity is planned at `load` of what the cores could do.
"""

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

from bench.planning.costs import (
    MEASURED_DIM,
    MEASURED_SEGMENTS,
    SEGMENT_SECONDS,
    EncoderCost,
    HourCost,
    ShardCost,
    constant,
    hour,
    shard,
)

RANKER_CORES = 4
BUILD_CORES = 2  # that build figures were measured on
MEASURED_SHARDS = 16  # fan-out
MONTH_HOURS = 730


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """Assumptions, not quotes; in one currency. core, memory (GB), disk (GB): a month. gpu: an hour."""

    core: float = 20.0
    memory: float = 2.5
    disk: float = 0.08
    gpu: float = 0.8


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is to be planned. shards: 0 for as few as were measured. lines: of the videos, 16:9, 25 fps."""

    hours: float
    encoder: EncoderCost
    qps: float = 1.0
    index: str = "auto"
    shards: int = 0
    replicas: int = 2
    contexts: str = "float16"
    hidden: int = 768
    load: float = 0.5
    host_gb: float = 256.0
    ingest_cores: int = 16
    gpus: int = 0
    lines: int = 720
    prices: Prices = Prices()

    @property
    def segments(self) -> int:
        """Segments of the corpus."""
        return max(1, math.ceil(self.hours * 3600 / SEGMENT_SECONDS))


def plan(asked: Asked) -> dict[str, Any]:
    """Return the plan as JSON values; `notes` say what is beyond what was measured, and what breaks."""
    shards = asked.shards or -(-asked.segments // MEASURED_SEGMENTS)
    index = shard(asked.index, asked.encoder.dim, asked.segments, shards)
    stored = hour(asked.encoder.dim, asked.hidden, asked.contexts)
    found: dict[str, Any] = {
        "corpus": _corpus(asked),
        "index": _index(asked, index, shards),
        "ranker": _ranker(asked, stored, shards),
        "coordinator": _coordinator(asked, shards),
        "ingest": _ingest(asked),
    }
    found["latency_ms"] = _latency(index, shards, found["ranker"]["groups"])
    found["total"] = _total(asked, found, stored)
    found["cost"] = _cost(asked, found)
    found["notes"] = _notes(asked, index, shards, found)
    return {name: _rounded(section) for name, section in found.items()}


def _corpus(asked: Asked) -> dict[str, Any]:
    about = asked.encoder
    return {"hours": asked.hours, "segments": asked.segments, "encoder": about.name, "dim": about.dim}


def _index(asked: Asked, index: ShardCost, shards: int) -> dict[str, Any]:
    busy = index.search_ms + constant("call_cpu_ms")
    replicas = max(asked.replicas, _enough(asked, busy, 1))
    return {
        "factory": index.factory,
        "shards": shards,
        "segments_a_shard": -(-asked.segments // shards),
        "replicas": replicas,
        "workers": shards * replicas,
        "search_ms": index.search_ms,
        "memory_gb": (index.memory_mb + constant("index_mb")) / 1e3,
        "disk_gb": index.memory_mb / 1e3,
    }


def _ranker(asked: Asked, stored: HourCost, shards: int) -> dict[str, Any]:
    """Return the ranker workers: each holds all contexts, or some shards' where a host has no room."""
    whole = stored.contexts_mb * asked.hours / 1e3
    fixed = (constant("ranker_mb") + asked.encoder.text_mb) / 1e3
    room = max(asked.host_gb - fixed, 0.0)
    each = shards if whole <= room else max(1, int(shards * room / whole))
    groups = -(-shards // each)
    # With several, encoders encode, and every group's worker is called.
    more = constant("call_cpu_ms") if groups > 1 else constant("encode_ms")
    busy = constant("rank_cpu_ms") / groups + more
    contexts = whole * each / shards
    return {
        "workers": groups * max(asked.replicas, _enough(asked, busy, RANKER_CORES)),
        "groups": groups,
        "shards_each": each,
        "cores": RANKER_CORES,
        "memory_gb": fixed + contexts,
        "contexts_gb": contexts,
        "disk_gb": contexts + stored.part_mb * asked.hours / 1e3 * each / shards,
        "encoders": max(asked.replicas, _enough(asked, constant("encode_ms"), RANKER_CORES)) * (groups > 1),
        "encoder_gb": fixed,
    }


def _coordinator(asked: Asked, shards: int) -> dict[str, Any]:
    busy = constant("coordinator_cpu_ms") + shards * constant("shard_ms")
    workers = max(asked.replicas, _enough(asked, busy, 1))
    return {"workers": workers, "cpu_ms": busy, "memory_gb": constant("coordinator_mb") / 1e3}


def _enough(asked: Asked, busy_ms: float, cores: int) -> int:
    """Return how many workers of so many cores do `busy_ms` of work a query."""
    return math.ceil(asked.qps * busy_ms / 1e3 / asked.load / cores)


def _latency(index: ShardCost, shards: int, groups: int) -> dict[str, float]:
    # Of rankers by shard one makes scores of what all found: a call more.
    more = constant("call_ms") if groups > 1 else 0.0
    path = constant("path_ms") + shards * constant("shard_ms")
    again = more + index.search_ms + constant("call_ms") + constant("rank_ms") + path
    return {"repeated": again, "repeated_p99": again * constant("tail"), "new": again + constant("encode_ms")}


def _ingest(asked: Asked) -> dict[str, Any]:
    pixels = asked.lines**2 * 16 / 9 * 25 * 3600 / 1e6
    pictures = asked.hours * 3600
    cpu = asked.hours * pixels / constant("decode_mp_s")
    gpu = 0.0
    if asked.gpus and asked.encoder.picture_flops:
        gpu = pictures * asked.encoder.picture_flops / constant("gpu_flops")
    else:
        cpu += pictures * asked.encoder.picture_cpu_s
    ((largest, seconds),) = constant("build_s")
    build = asked.segments / largest * seconds * asked.encoder.dim / MEASURED_DIM
    build += asked.hours * constant("contexts_s") * bool(asked.contexts != "none")
    return {
        "cpu_hours": cpu / 3600,
        "gpu_hours": gpu / 3600,
        "hours": max(cpu / asked.ingest_cores, gpu / max(1, asked.gpus)) / 3600,
        "build_hours": build * BUILD_CORES / asked.ingest_cores / 3600,
    }


def _total(asked: Asked, found: dict[str, Any], stored: HourCost) -> dict[str, Any]:
    index, ranker, coordinator = found["index"], found["ranker"], found["coordinator"]
    sums = {
        name: index["workers"] * index[name] + ranker["workers"] * ranker[name]
        for name in ("memory_gb", "disk_gb")
    }
    store = asked.hours * stored.store_mb / 1e3
    torch, encoders = ranker["workers"] + ranker["encoders"], ranker["encoders"] * ranker["encoder_gb"]
    return {
        "cores": index["workers"] + torch * RANKER_CORES + coordinator["workers"],
        "memory_gb": sums["memory_gb"] + encoders + coordinator["workers"] * coordinator["memory_gb"],
        # Index files and features of the parts, and the feature store and pictures, once.
        "disk_gb": sums["disk_gb"] + store,
        "store_gb": store,
    }


def _cost(asked: Asked, found: dict[str, Any]) -> dict[str, Any]:
    total, ingest, prices = found["total"], found["ingest"], asked.prices
    once = ingest["cpu_hours"] / MONTH_HOURS * prices.core + ingest["gpu_hours"] * prices.gpu
    month = total["cores"] * prices.core + total["memory_gb"] * prices.memory + total["disk_gb"] * prices.disk
    return {"month": month, "ingest_once": once, "assumed_prices": dataclasses.asdict(prices)}


def _notes(asked: Asked, index: ShardCost, shards: int, found: dict[str, Any]) -> list[str]:
    notes = []
    if found["index"]["segments_a_shard"] > index.measured or asked.encoder.dim != MEASURED_DIM:
        what = f"indexes of this kind of up to {index.measured:,} segments of {MEASURED_DIM}"
        notes.append(f"Measured were {what}; these are reckoned from them.")
    if shards > MEASURED_SHARDS:
        what = f"a coordinator that asks {shards} of them for every search is reckoned"
        notes.append(f"Measured were {MEASURED_SHARDS} shards; {what}.")
    ranker = found["ranker"]
    if ranker["memory_gb"] > asked.host_gb:
        what = f"{ranker['contexts_gb']:,.0f} GB, and a host has {asked.host_gb:,.0f}"
        notes.append(f"The contexts of one shard are {what}: use --contexts int5, or more --shards.")
    if found["index"]["memory_gb"] > asked.host_gb:
        notes.append("A shard does not fit a host's memory: use more --shards.")
    if asked.gpus:
        known = asked.encoder.picture_flops
        notes.append(
            "The speed of GPUs is reckoned from operations, not measured."
            if known
            else f"No speed on a GPU is known of {asked.encoder.name}: ingest is planned on CPUs."
        )
    return notes


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _rounded(one) for name, one in value.items()}
    return float(f"{value:.4g}") if isinstance(value, float) else value
