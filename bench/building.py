"""A version of the published shape that real processes open, made without a model touching a video.

The collection has the corpus's vectors as segments in two shards, models of the published sizes with random
weights, and stored contexts of random unit vectors. A ranker that has those reads no raw features: its clips
are a file of zeros that takes no room, of frames and subtitles there are none.
"""

import contextlib
import dataclasses
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench import corpus as corpora
from bench import indexes, models
from bench.corpus import Corpus
from bench.sizes import Sizes
from engine import parts, versions
from engine.catalogue import PartCatalogue
from engine.config import shard_name
from engine.entries import EncoderEntry, ModelEntry, Part, PartEntry, ShardEntry, StreamEntry, Version
from engine.files import read_json, write_json
from engine.frozen import QUANTIZERS
from engine.staging import Staging, staged
from engine.types import Doubles, Floats, Ordinals
from engine.version_lock import only_writer
from trainer.collection.segments import deal
from trainer.generation.check import LARGEST_FACTOR, QUERIES, ExactAnswers
from workers.index.effort import Effort, least
from workers.index.factory import Recipe, recipe
from workers.index.files import INDEX, code_of, write_effort
from workers.index.part import DIRECTORY, IndexPart
from workers.index.training import VERSION, Template
from workers.ranker.encoder.files import fingerprint_of
from workers.ranker.stores import contexts, features

SHARDS = 2
_VERSION = 6


def collection(cache: Path, sizes: Sizes) -> Path:
    """Return the directory of a built collection, from the cache when it is there."""
    folder = cache / f"service-{sizes.share:g}x{sizes.dim}-{sizes.tower[0]}x{sizes.tower[1]}"
    about = {"version": _VERSION, "queries": sizes.queries}
    done = folder / "about.json"
    if done.is_file() and read_json(done) == about:
        return folder
    for name in (versions.LEGACY, versions.VERSIONS, parts.PARTS, QUANTIZERS):
        shutil.rmtree(folder / name, ignore_errors=True)
    corpus = corpora.load(cache, sizes.share, sizes.dim)
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "collection.json", {"name": "default", "format": 1})
    with only_writer(folder):
        made = _write_version(folder, corpus, _write_models(cache, folder, corpus, sizes))
        versions.activate(folder, made.id)
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


def _write_version(folder: Path, corpus: Corpus, made: _Models) -> Version:
    """Write a part a shard, and the version that lists them; return it."""
    dim = corpus.vectors.shape[1]
    numbers = dealt(corpus)
    with contextlib.ExitStack() as stack:
        stages = [stack.enter_context(staged(folder)) for _ in numbers]
        template, label = _write_indexes(stages, corpus, numbers)
        about = _about(made, dim, label, template)
        for staging, mine in zip(stages, numbers, strict=True):
            names = [corpus.lengths.names[number] for number in mine]
            counts = np.asarray(corpus.counts, np.int32)[mine]
            staging.id = finish_part(staging.path, names, counts, corpus.durations[mine], about).id
    template.save(folder)
    entries = [parts.entry_of(folder, staging.id) for staging in stages]
    return versions.commit(folder, _version(made, about, entries))


def _version(made: _Models, about: Part, entries: list[PartEntry]) -> Version:
    shards = [
        ShardEntry(shard_name(number), one.videos, one.segments, (one,)) for number, one in enumerate(entries)
    ]
    return Version(
        id="",
        number=0,
        parent="",
        reason="build",
        created="",
        collection="default",
        encoder=made.encoder,
        projector=ModelEntry("projector", made.projector),
        ranker=ModelEntry("ranker", made.ranker),
        embedding_model=about.embedding_model,
        dim=about.dim,
        segment_length=about.segment_length,
        factory=about.factory,
        quantizer_sha256=about.quantizer_sha256,
        videos=sum(one.videos for one in entries),
        segments=sum(one.segments for one in entries),
        shards=tuple(shards),
        streams=about.streams,
        contexts=about.contexts,
    )


def _about(made: _Models, dim: int, label: str, template: Template) -> Part:
    """Return what all parts have in common."""
    return Part(
        id="",
        embedding_model=versions.embedding_model(made.encoder.fingerprint, made.projector),
        dim=dim,
        segment_length=float(corpora.SEGMENT),
        factory=label,
        code="",
        faiss=VERSION,
        quantizer_sha256=template.sha256,
        ranker=made.ranker,
        contexts="float16",
        videos=0,
        segments=0,
        streams={name: StreamEntry(dim, step, "float16") for name, step in _STREAMS.items()},
        files={},
    )


# The projector reads frames, the ranker clips; seconds a row.
_STREAMS = {features.FRAMES: 1.0, models.CLIPS: models.CLIP_SECONDS, features.SUBTITLES: models.CLIP_SECONDS}


def clips(durations: Doubles) -> NDArray[np.int64]:
    """Return clips of every video, (videos,); durations: (videos,) seconds."""
    return np.ceil(durations / models.CLIP_SECONDS).astype(np.int64)


def random_contexts(counts: NDArray[np.int64], hidden: int) -> Iterator[tuple[Floats, Floats]]:
    """Yield a video's random contexts of both modalities, (clips, hidden) each."""
    rng = np.random.default_rng(11)
    pool = rng.standard_normal((8192, hidden), np.float32)
    # What clips of one corpus share makes their cosines with a query differ less than noise would.
    pool += rng.standard_normal(hidden, np.float32)
    for count in counts.tolist():
        places = rng.integers(0, len(pool), (2, count))
        yield pool[places[0]], pool[places[1]]


def dealt(corpus: Corpus) -> list[Ordinals]:
    """Return the videos (n,) of every shard."""
    shards = deal(np.asarray(corpus.counts, np.int32), SHARDS)
    return [np.flatnonzero(shards == number).astype(np.int32) for number in range(SHARDS)]


def _write_indexes(stages: list[Staging], corpus: Corpus, numbers: list[Ordinals]) -> tuple[Template, str]:
    made = recipe("auto", corpus.vectors.shape[1], len(corpus.videos), SHARDS)
    template = indexes.template_of(made, corpus)
    folders = [staging.path / DIRECTORY for staging in stages]
    for folder, mine in zip(folders, numbers, strict=True):
        rows = np.flatnonzero(np.isin(corpus.videos, mine))
        videos = np.searchsorted(mine, corpus.videos[rows]).astype(np.int32)
        blocks = indexes.blocks_of(corpus, rows)
        IndexPart.build(template, blocks, videos, corpus.segments[rows]).save(folder)
    _settle_effort(folders, corpus, numbers, made)
    return template, made.label


def _settle_effort(folders: list[Path], corpus: Corpus, numbers: list[Ordinals], made: Recipe) -> None:
    """Set how hard the shards try, as a build does: by the recall over all of them."""
    opened = [IndexPart.open(folder, "cpu") for folder in folders]
    start = opened[0].effort
    starts = np.cumsum(corpus.counts) - corpus.counts
    truth = ExactAnswers(corpus.vectors, corpus.queries[:QUERIES], [starts[mine] for mine in numbers])
    most = Effort(LARGEST_FACTOR if start.factor else 0, max(shard.partitions for shard in opened))
    effort, _ = least(lambda tried: truth.recalls(opened, tried), start, most, made.recall)
    for folder in folders:
        write_effort(effort, folder)


def finish_part(
    building: Path, names: Sequence[str], segments: Ordinals, durations: Doubles, about: Part
) -> Part:
    """Write what a part has besides its index, and seal it.

    names: (n,) ids, sorted. segments, durations: (n,) of each video. about: all but counts and code.
    """
    uris = [f"file:///videos/{name}.mp4" for name in names]
    PartCatalogue(list(names), uris, durations, segments).write(building)
    _write_contexts(building, durations, about)
    code = code_of(building / DIRECTORY / INDEX)
    made = dataclasses.replace(about, code=code, videos=len(names), segments=int(segments.sum()))
    return parts.seal(building, made)


def _write_contexts(building: Path, durations: Doubles, about: Part) -> None:
    directory = building / features.DIRECTORY
    directory.mkdir(parents=True)
    for name in _STREAMS:
        rows = clips(durations) if name == models.CLIPS else np.zeros(len(durations), np.int64)
        offsets = np.concatenate([[0], np.cumsum(rows)])
        np.lib.format.open_memmap(
            directory / f"{name}.npy", "w+", np.float16, (int(offsets[-1]), about.dim)
        ).flush()
        np.save(directory / f"{name}.offsets.npy", offsets)
    np.save(directory / "durations.npy", durations)
    streams = {name: {"dim": about.dim, "step": step, "dtype": "float16"} for name, step in _STREAMS.items()}
    write_json(directory / "streams.json", streams)
    made = random_contexts(clips(durations), about.dim)
    encoded = building / contexts.DIRECTORY
    contexts.write_encoded(encoded, about.dim, models.CLIP_SECONDS, "float16", made, about.ranker)
