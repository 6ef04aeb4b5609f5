"""Two shards of a huge corpus, built as `spr build` does and opened by real index workers."""

import contextlib
import itertools
import resource
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import faiss
import numpy as np
import torch

from bench import corpus as corpora
from bench import indexes
from bench.huge_corpus import SHARDS, Huge
from engine import parts, versions
from engine.catalogue import PartCatalogue
from engine.config import shard_name
from engine.cores import cores
from engine.entries import EncoderEntry, Part, ShardEntry, Version
from engine.files import write_json
from engine.merge import top_k
from engine.staging import staged
from engine.types import Doubles, Hits
from engine.version_lock import only_writer
from trainer.generation.check import LARGEST_FACTOR, searched
from workers.index.effort import Effort, least
from workers.index.files import INDEX, code_of, write_effort
from workers.index.filling import fill
from workers.index.part import DIRECTORY, IndexPart
from workers.index.training import VERSION, Template, train

_MODEL = "e0e0e0e0e0e0e0e0/mean-pool"


@dataclass(frozen=True, slots=True)
class Built:
    """seconds: the build took, its self-test included. peak_gb: the most memory this process has had."""

    version: Version
    effort: Effort
    recall: float
    seconds: float
    peak_gb: float


def build(folder: Path, corpus: Huge) -> Built:
    """Train on all cores, fill shard by shard, set the effort, seal."""
    began = time.perf_counter()
    faiss.omp_set_num_threads(cores())
    torch.set_num_threads(cores())  # by which queries are shared out
    folder.mkdir(parents=True)
    write_json(folder / "collection.json", {"name": "default", "format": 1})
    template = train(corpus.made, corpus.dim, corpus.sample)
    cuts = [0, corpus.first, len(corpus.counts)]
    spans = list(itertools.pairwise(cuts))
    with only_writer(folder):
        with contextlib.ExitStack() as stack:
            stages = [stack.enter_context(staged(folder)) for _ in range(SHARDS)]
            with corpus.path.open("rb") as file:
                for staging, (first, last) in zip(stages, spans, strict=True):
                    counts = corpus.counts[first:last]
                    blocks = corpus.vectors(file, int(counts.sum()))
                    fill(staging.path / DIRECTORY, template, blocks, *corpora.tables(counts))
            effort, recall = _settle([staging.path / DIRECTORY for staging in stages], corpus)
            for staging, (first, last) in zip(stages, spans, strict=True):
                staging.id = _seal(staging.path, corpus, first, last, template)
        template.save(folder)
        made = versions.commit(folder, _version(folder, corpus, [staging.id for staging in stages], template))
        versions.activate(folder, made.id)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    return Built(made, effort, recall, time.perf_counter() - began, peak)


def merged(corpus: Huge, found: Sequence[Sequence[Hits]]) -> list[np.ndarray]:
    """Return the rows that all shards together find of each query; found: of each shard, its hits."""
    starts = np.cumsum(corpus.counts) - corpus.counts
    best = [top_k(hits, indexes.DEPTH) for hits in zip(*found, strict=True)]
    return [np.asarray(starts[hits.videos] + hits.segments) for hits in best]


def _settle(folders: list[Path], corpus: Huge) -> tuple[Effort, float]:
    """Set the least effort that finds what is asked, by half of the queries."""
    shards = [IndexPart.open(folder, "cpu") for folder in folders]
    asked, _ = corpus.asked.halves()

    def measure(effort: Effort) -> Doubles:
        answers = searched(shards, asked.queries, indexes.DEPTH, effort)
        found = [
            [_shifted(one, number * corpus.first) for one in hits] for number, hits in enumerate(answers)
        ]
        return asked.recalls(merged(corpus, found), indexes.DEPTH)

    start = shards[0].effort
    most = Effort(LARGEST_FACTOR if start.factor else 0, shards[0].partitions)
    effort, recall = least(measure, start, most, corpus.made.recall)
    for folder in folders:
        write_effort(effort, folder)
    return effort, recall


def _shifted(hits: Hits, by: int) -> Hits:
    return Hits(hits.videos + np.int32(by), hits.segments, hits.scores)


def _seal(building: Path, corpus: Huge, first: int, last: int, template: Template) -> str:
    names = [f"{number:09d}" for number in range(first, last)]
    counts = np.asarray(corpus.counts[first:last], np.int32)
    PartCatalogue(names, [""] * len(names), (4.0 * counts).astype(np.float64), counts).write(building)
    about = Part(
        id="",
        embedding_model=_MODEL,
        dim=corpus.dim,
        segment_length=float(corpora.SEGMENT),
        factory=corpus.made.label,
        code=code_of(building / DIRECTORY / INDEX),
        faiss=VERSION,
        quantizer_sha256=template.sha256,
        ranker="",
        contexts="",
        videos=len(names),
        segments=int(counts.sum()),
        streams={},
        files={},
    )
    return parts.seal(building, about).id


def _version(folder: Path, corpus: Huge, ids: Sequence[str], template: Template) -> Version:
    entries = [parts.entry_of(folder, one) for one in ids]
    shards = [ShardEntry(shard_name(n), one.videos, one.segments, (one,)) for n, one in enumerate(entries)]
    return Version(
        id="",
        number=0,
        parent="",
        reason="build",
        created="",
        collection="default",
        encoder=EncoderEntry("random", _MODEL.split("/")[0]),
        projector=None,
        ranker=None,
        embedding_model=_MODEL,
        dim=corpus.dim,
        segment_length=float(corpora.SEGMENT),
        factory=corpus.made.label,
        quantizer_sha256=template.sha256,
        videos=len(corpus.counts),
        segments=int(corpus.counts.sum()),
        shards=tuple(shards),
        streams={},
    )
