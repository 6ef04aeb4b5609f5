"""A generation of the published shape that real processes open, made without a model touching a video.

The collection has the corpus's vectors as segments in two shards, models of the published sizes with random
weights, and stored contexts of random unit vectors. The raw features are files of zeros that take no room: a
ranker that has stored contexts does not read them.
"""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench import corpus as corpora
from bench import indexes, models
from bench.corpus import Corpus
from bench.sizes import Sizes
from engine import manifest
from engine.catalogue import Catalogue
from engine.config import shard_name
from engine.files import read_json, write_json
from engine.manifest import EncoderEntry, Manifest, ModelEntry, ShardEntry, StreamEntry
from engine.types import Floats
from trainer.collection.segments import deal
from trainer.generation.check import LARGEST_FACTOR, QUERIES, ExactAnswers
from workers.index.effort import Effort, least
from workers.index.factory import Recipe, recipe
from workers.index.files import write_effort
from workers.index.shard import IndexShard
from workers.ranker.encoder.files import fingerprint_of
from workers.ranker.stores import contexts, features

SHARDS = 2
_VERSION = 4


def collection(cache: Path, sizes: Sizes) -> Path:
    """Return the directory of a built collection, from the cache when it is there."""
    folder = cache / f"service-{sizes.share:g}x{sizes.dim}-{sizes.tower[0]}x{sizes.tower[1]}"
    about = {"version": _VERSION, "queries": sizes.queries}
    done = folder / "about.json"
    if done.is_file() and read_json(done) == about:
        return folder
    shutil.rmtree(folder / manifest.GENERATIONS, ignore_errors=True)
    corpus = corpora.load(cache, sizes.share, sizes.dim)
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "collection.json", {"name": "default", "format": 1})
    manifest.activate(folder, _write_generation(folder, corpus, _write_models(cache, folder, corpus, sizes)))
    write_json(done, about)
    return folder


@dataclass(frozen=True, slots=True)
class _Models:
    encoder: EncoderEntry
    projector: str
    ranker: str


def _write_models(cache: Path, folder: Path, corpus: Corpus, sizes: Sizes) -> _Models:
    encoder = models.write_encoder(cache, sizes)
    texts, wanted = models.texts(sizes.queries), corpus.queries[: sizes.queries]
    projector = models.write_projector(folder / "projector", encoder, texts, wanted)
    entry = EncoderEntry(str(encoder.resolve()), fingerprint_of(encoder))
    return _Models(entry, projector, models.write_ranker(folder / "ranker", sizes))


def _write_generation(folder: Path, corpus: Corpus, made: _Models) -> str:
    """Write shards, catalogue, contexts and the manifest; return the generation's id."""
    dim = corpus.vectors.shape[1]
    generation = folder / manifest.GENERATIONS / "bench"
    shards, quantizer, label = _write_shards(generation, corpus)
    _write_catalogue(generation, corpus)
    _write_contexts(generation, corpus, dim, made.ranker)
    files = [str(path.relative_to(generation)) for path in generation.rglob("*") if path.is_file()]
    written = manifest.write(
        generation,
        Manifest(
            id="",
            created=datetime.now(UTC).isoformat(timespec="milliseconds"),
            collection="default",
            encoder=made.encoder,
            projector=ModelEntry("projector", made.projector),
            ranker=ModelEntry("ranker", made.ranker),
            embedding_model=manifest.embedding_model(made.encoder.fingerprint, made.projector),
            dim=dim,
            segment_length=float(corpora.SEGMENT),
            factory=label,
            quantizer_sha256=quantizer,
            videos=len(corpus.counts),
            segments=len(corpus.videos),
            shards=tuple(shards),
            streams={name: StreamEntry(dim, step, "float16") for name, step in _STREAMS.items()},
            files=manifest.describe_files(generation, files),
        ),
    )
    generation.rename(generation.with_name(written.id))
    return written.id


# The projector reads frames, the ranker clips; seconds a row.
_STREAMS = {features.FRAMES: 1.0, models.CLIPS: models.CLIP_SECONDS, features.SUBTITLES: models.CLIP_SECONDS}


def clips(corpus: Corpus) -> NDArray[np.int64]:
    """Return clips of every video, (videos,)."""
    return np.ceil(corpus.durations / models.CLIP_SECONDS).astype(np.int64)


def random_contexts(counts: NDArray[np.int64], hidden: int) -> Iterator[tuple[Floats, Floats]]:
    """Yield a video's random contexts of both modalities, (clips, hidden) each."""
    rng = np.random.default_rng(11)
    pool = rng.standard_normal((8192, hidden), np.float32)
    # What clips of one corpus share makes their cosines with a query differ less than noise would.
    pool += rng.standard_normal(hidden, np.float32)
    for count in counts.tolist():
        places = rng.integers(0, len(pool), (2, count))
        yield pool[places[0]], pool[places[1]]


def _write_shards(generation: Path, corpus: Corpus) -> tuple[list[ShardEntry], str, str]:
    shards = deal(np.asarray(corpus.counts, np.int32), SHARDS)
    made = recipe("auto", corpus.vectors.shape[1], len(corpus.videos), SHARDS)
    template = indexes.template_of(made, corpus)
    entries, folders = [], []
    for number in range(SHARDS):
        rows = np.flatnonzero(shards[corpus.videos] == number)
        blocks = indexes.blocks_of(corpus, rows)
        folders.append(generation / shard_name(number))
        IndexShard.build(template, blocks, corpus.videos[rows], corpus.segments[rows]).save(folders[-1])
        entries.append(ShardEntry(shard_name(number), int((shards == number).sum()), len(rows)))
    _settle_effort(folders, corpus, made)
    return entries, template.sha256, made.label


def _settle_effort(folders: list[Path], corpus: Corpus, made: Recipe) -> None:
    """Set how hard the shards try, as a build does: by the recall over all of them."""
    opened = [IndexShard.open(folder, "cpu") for folder in folders]
    start = opened[0].effort
    starts = np.cumsum(corpus.counts) - corpus.counts
    truth = ExactAnswers(corpus.vectors, corpus.queries[:QUERIES], starts)
    most = Effort(LARGEST_FACTOR if start.factor else 0, max(shard.partitions for shard in opened))
    effort, _ = least(lambda tried: truth.recall(opened, tried), start, most, made.recall)
    for folder in folders:
        write_effort(effort, folder)


def _write_catalogue(generation: Path, corpus: Corpus) -> None:
    names = corpus.lengths.names
    Catalogue(
        ids=names,
        uris=[f"file:///videos/{name}.mp4" for name in names],
        durations=corpus.durations,
        segments=np.asarray(corpus.counts, np.int32),
        shards=deal(np.asarray(corpus.counts, np.int32), SHARDS),
    ).write(generation)


def _write_contexts(generation: Path, corpus: Corpus, dim: int, ranker: str) -> None:
    directory = generation / features.DIRECTORY
    directory.mkdir(parents=True)
    counts = clips(corpus)
    for name, step in _STREAMS.items():
        offsets = np.concatenate([[0], np.cumsum(np.ceil(corpus.durations / step).astype(np.int64))])
        np.lib.format.open_memmap(
            directory / f"{name}.npy", "w+", np.float16, (int(offsets[-1]), dim)
        ).flush()
        np.save(directory / f"{name}.offsets.npy", offsets)
    np.save(directory / "durations.npy", corpus.durations)
    about = {name: {"dim": dim, "step": step, "dtype": "float16"} for name, step in _STREAMS.items()}
    write_json(directory / "streams.json", about)
    made = random_contexts(counts, dim)
    contexts.write_encoded(generation / contexts.DIRECTORY, dim, models.CLIP_SECONDS, "float16", made, ranker)
