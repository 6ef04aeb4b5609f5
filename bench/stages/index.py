"""The nearest 200 of the published corpus: our indexes, the published ones, and reading the codes."""

import os
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench import corpus as corpora
from bench import indexes
from bench.corpus import Corpus
from bench.indexes import GroundTruth
from bench.results import RUN, Figure, Outcome, Setup, Way
from bench.stages.floor import bytes_ms
from engine.files import read_json, write_json
from engine.types import Hits
from workers.index.effort import Effort
from workers.index.factory import recipe
from workers.index.part import INDEX, ORIGINALS, IndexPart

# key: (--index, label, way)
_KINDS: dict[str, tuple[str, str, Way]] = {
    "default": ("auto", "auto: lists of codes, candidates scored by mapped originals", "ours"),
    "fast": ("fast", "fast: the same, asked for 0.95", "ours"),
    "flat": ("flat", "flat, exact", "published"),
    "ivfpq": ("ivfpq", "IVFPQ, 8192 lists of two rounds of k-means, 128 visited", "published"),
}


def run(setup: Setup) -> Outcome:
    """Build every index on all cores, then ask one query after the other on one thread."""
    sizes = setup.sizes
    corpus = corpora.load(setup.cache, sizes.share, sizes.dim)
    asked = GroundTruth(corpus.queries, corpora.exact(corpus.vectors, corpus.queries, indexes.DEPTH))
    rows: list[Figure] = []
    for key in _KINDS:
        if not _wanted(setup, key, corpus):
            continue
        rows += figures(setup, corpus, asked, key, setup.sizes.published)
    default = next(row for row in rows if row.key == "default")
    code_bytes = 1e6 * float(default.more["codes_mb"])
    rows.append(Figure("floor", "reading the codes once", "floor", bytes_ms(code_bytes, 1, sizes)))
    total, dim = corpus.vectors.shape
    rows.append(
        Figure("floor_flat", "reading all vectors once", "floor", bytes_ms(4.0 * total * dim, 1, sizes))
    )
    notes = [
        f"{total:,} segments of {dim} dimensions, {len(asked.queries)} queries: half set the effort, half "
        f"measure; recall is of the nearest {indexes.DEPTH}. Built on all cores, searched by one thread."
    ]
    if not any(row.key == "ivfpq" for row in rows):
        notes.append("IVFPQ takes minutes to build; quick runs leave it out.")
    return Outcome(rows, notes)


def _wanted(setup: Setup, key: str, corpus: Corpus) -> bool:
    """Tell whether an index is measured: not the one that takes minutes, in a run that has no time for it."""
    return key != "ivfpq" or (setup.sizes.published and setup.sizes.share >= 0.1)


def _folder(cache: Path, corpus: Corpus, key: str) -> Path:
    return cache / f"index-{key}-{len(corpus.counts)}x{corpus.vectors.shape[1]}"


def figures(setup: Setup, corpus: Corpus, asked: GroundTruth, key: str, others: bool = False) -> list[Figure]:
    """Return the row of an index at the effort that its recipe asks for; others: and of other efforts."""
    kind, label, way = _KINDS[key]
    made = recipe(kind, corpus.vectors.shape[1], len(corpus.videos))
    folder, seconds = _built(setup.cache, corpus, key, kind, setup.sizes.published)
    shard = IndexPart.open(folder, "cpu")
    rows_of = partial(_rows, np.cumsum(corpus.counts) - corpus.counts)
    by, asked = asked.halves()
    best = indexes.effort_for(shard, made, rows_of, by) if made.recall else shard.effort
    codes = indexes.size_mb(folder, INDEX)
    about = {"codes_mb": codes, "originals_mb": indexes.size_mb(folder, ORIGINALS), "build_s": seconds}
    rows = []
    for effort in dict.fromkeys([best, *(_others(key, best, shard.partitions) if others else [])]):
        found = indexes.answers(shard, effort, rows_of, asked)
        taken = indexes.latency(shard, effort, asked.queries, setup.sizes.runs)
        set_to = ", ".join(
            f"{name} {value}"
            for name, value in (("factor", effort.factor), ("nprobe", effort.nprobe))
            if value
        )
        main = effort == best
        more: dict[str, float | int | str] = {
            "recall@200": asked.recall(found, indexes.DEPTH),
            "recall@10": asked.recall(found, 10),
            "p99_ms": taken.share(0.99),
            **(about if main else {}),
            **({"effort": set_to} if set_to and main else {}),
        }
        name = key if main else f"{key} ({set_to})"
        rows.append(Figure(name, label if main else set_to, way, taken.median, more=more))
    return rows


def _others(key: str, best: Effort, partitions: int) -> list[Effort]:
    """Return efforts around the chosen one, for the curve of latency against recall."""
    if key == "default" and best.nprobe:
        return [Effort(best.factor, nprobe) for nprobe in (16, 32, 64, 128, 256) if nprobe <= partitions]
    if key == "default" and best.factor:
        return [Effort(factor, 0) for factor in (2, 4, 10, 20, 40)]
    return []


def _built(cache: Path, corpus: Corpus, key: str, kind: str, anew: bool) -> tuple[Path, float]:
    """Build an index and save it; return its directory and the seconds that building took.

    Ours are built anew in every run. The published one takes minutes, so it is kept.
    """
    folder = _folder(cache, corpus, key)
    about, run = folder / "bench.json", os.environ.get(RUN, "")
    if about.is_file():
        known = read_json(about)
        same = bool(run) and known.get("run") == run
        if same or key == "ivfpq" or (key == "fast" and not anew):
            return folder, float(known["seconds"])
    shutil.rmtree(folder, ignore_errors=True)
    made = recipe(kind, corpus.vectors.shape[1], len(corpus.videos))
    if key == "ivfpq":
        # FAISS's own rounds of k-means take a quarter of an hour; as many lists are visited after two.
        made = replace(made, rounds=2)

    def build() -> IndexPart:
        template = indexes.template_of(made, corpus)
        blocks = indexes.blocks_of(corpus, np.arange(len(corpus.videos)))
        return IndexPart.build(template, blocks, corpus.videos, corpus.segments)

    shard, seconds = indexes.timed_build(build)
    shard.save(folder)
    write_json(about, {"seconds": seconds, "run": run})
    return folder, seconds


def _rows(starts: NDArray[np.int64], hits: Hits) -> NDArray[np.int64]:
    return np.asarray(starts[hits.videos] + hits.segments)
