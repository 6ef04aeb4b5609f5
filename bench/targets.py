"""Performance targets, and whether a run met them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.results import figure


@dataclass(frozen=True, slots=True)
class Goal:
    """One figure to reach: the row `key` of a stage, or one of its further figures `name`.

    unit: how both are printed. at_least: more is better.
    """

    stage: str
    key: str
    reach: float
    unit: str
    name: str = ""
    at_least: bool = False

    def measured(self, report: Mapping[str, Any]) -> float | None:
        """Return the figure, None where it was not measured."""
        return figure(report, self.stage, self.key, self.name)

    def met(self, report: Mapping[str, Any]) -> bool | None:
        """Tell whether the figure is as wanted, None where it was not measured."""
        value = self.measured(report)
        if value is None:
            return None
        return value >= self.reach if self.at_least else value <= self.reach

    def __str__(self) -> str:
        return f"{'≥' if self.at_least else '≤'} {number(self.reach)} {self.unit}".rstrip()


@dataclass(frozen=True, slots=True)
class Target:
    """One line of the table: what is measured, its goals, the published way's figure and the floor's."""

    what: str
    goals: Sequence[Goal]
    published: tuple[str, str] | None = None
    floor: tuple[str, str] | None = None


TARGETS = (
    Target(
        "top-200 of 383,828 x 768, one query, one thread",
        (
            Goal("index", "default", 1, "ms"),
            Goal("index", "default", 0.99, "recall@200", "recall@200", at_least=True),
            Goal("index", "default", 60, "MB of codes", "codes_mb"),
            Goal("index", "default", 25, "s to build", "build_s"),
        ),
        ("index", "flat"),
        ("index", "floor"),
    ),
    Target(
        "the same, lowest latency asked for",
        (
            Goal("index", "fast", 3, "ms"),
            Goal("index", "fast", 0.93, "recall@200", "recall@200", at_least=True),
            Goal("index", "fast", 0.99, "recall@10", "recall@10", at_least=True),
        ),
        ("index", "ivfpq"),
        ("index", "floor"),
    ),
    Target(
        "top-200 of 383,828 texts by the words of a query, one thread",
        (
            Goal("words", "ours", 2, "ms"),
            Goal("words", "ours", 2, "ms p99", "p99_ms"),
            Goal("words", "ours", 100, "MB resident", "resident_mb"),
        ),
        ("words", "fts5"),
    ),
    Target(
        "proposals from 200 hits",
        (Goal("proposals", "adjacent", 0.3, "ms"), Goal("proposals", "adaptive:0.5", 0.3, "ms (adaptive)")),
        ("proposals", "published"),
        ("proposals", "floor"),
    ),
    Target(
        "rank 150 proposals, hidden 768, two modalities, contexts warm, without the query branch",
        (Goal("rank", "stored", 3, "ms"),),
        ("rank", "published"),
        ("rank", "floor"),
    ),
    Target(
        "contexts of one hour of video encoded at build",
        (Goal("contexts", "ours", 2, "s"),),
        ("contexts", "published"),
        ("contexts", "floor"),
    ),
    Target(
        "ingest of 1080p H.264 films, towers that cost nothing",
        (
            Goal("ingest", "films ingest", 0.9, "of decoding what is sampled", "of_decoding", at_least=True),
            Goal("ingest", "films left out", 2, "x decoding every picture", at_least=True),
            Goal("ingest", "4k memory", 1000, "MB for a 4K file"),
        ),
    ),
    Target(
        "encode a 16-token query, text tower of ViT-L/14's size",
        (
            Goal("encode", "ours", 20, "ms"),
            Goal("encode", "ours", 0.998, "cosine to float32", "cosine", at_least=True),
            Goal("encode", "cached", 0.1, "ms cached"),
        ),
        ("encode", "published"),
        ("encode", "floor"),
    ),
    Target(
        "whole search over gRPC, 2 shards, query cached, 1 client",
        (Goal("search", "p50", 5, "ms"), Goal("search", "overhead", 2.5, "ms over the stages")),
        None,
        ("search", "floor"),
    ),
    Target(
        "the same, a new sentence, text tower of ViT-L/14's size",
        (Goal("search", "new", 16, "ms"),),
    ),
    Target(
        "the same, 32 clients",
        (
            Goal("load", "clients_32", 350, "queries/s", "queries_s", at_least=True),
            Goal("load", "clients_32", 200, "ms p99", "p99_ms"),
        ),
    ),
    Target(
        "five times the load of the peak, deadlines of 1 s and 10 s",
        (
            Goal("overload", "at_5x_1", 0.8, "of the peak", "of_peak", at_least=True),
            Goal("overload", "at_5x_10", 0.8, "of the peak (10 s)", "of_peak", at_least=True),
            Goal("overload", "at_5x_1", 200, "ms p99 of a refusal", "refused_p99_ms"),
        ),
    ),
    Target(
        "a version that differs by one small part opened: index worker, ranker worker, coordinator",
        (
            Goal("living", "open_index", 0.5, "s"),
            Goal("living", "open_ranker", 0.5, "s"),
            Goal("living", "open_coordinator", 0.5, "s"),
        ),
        None,
        ("living", "open_floor"),
    ),
    Target(
        "memory of two versions that share parts against one: index worker, ranker worker",
        (Goal("living", "memory_index", 1.1, "x"), Goal("living", "memory_ranker", 1.1, "x")),
    ),
    Target(
        "p99 of the first searches after a restart against a warm service",
        (Goal("living", "restart", 2, "x"),),
    ),
    Target(
        "search with eight parts a shard, and after compaction, against one part as built",
        (
            Goal("living", "many", 1.5, "x", "of_one"),
            Goal("living", "compacted", 1.1, "x compacted", "of_one"),
        ),
    ),
    Target(
        "the file of a version of a million videos written and read",
        (Goal("living", "million", 0.5, "s"),),
    ),
    Target(
        "3.2M segments against 383,828, one thread, the same recall",
        (Goal("scale", "growth", 4, "x the latency"),),
    ),
    Target(
        "NDCG evaluation, a query",
        (Goal("ndcg", "ours", 0.2, "ms"),),
        ("ndcg", "published"),
        ("ndcg", "floor"),
    ),
)


def number(value: float) -> str:
    """Return a figure as people read it: three significant digits, no exponent, thousands parted."""
    if 0.99 < value < 1:
        return f"{value:.5g}"
    if value and abs(value) < 1:
        return f"{value:.3g}" if abs(value) >= 1e-4 else f"{value:.1e}"
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"
