"""A version's segments as a Parquet file, for other engines: vectors, spans, texts, ids.

A row is a segment of a living video; shards, parts, videos and segments are in their order. Columns: `video`,
`segment`; `start`, `end` (seconds); `vector` (float32, unit length); `said`, `written` (its lines, null where
none); `uri`, `labels`, `date` of the video. The schema's metadata has under `spr` what the vectors are of.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from engine.catalogue import CATALOGUE, PartCatalogue
from engine.corpus import Corpus, PartOfVersion, open_corpus
from engine.entries import Version
from engine.errors import InvalidInput
from engine.files import refusal, replacing
from engine.part_texts import FILE, PartTexts
from engine.texts import TEXTS
from engine.verification import verify
from engine.version_lock import held
from trainer.collection.texts import segment_texts
from trainer.ingest.texts import Texts
from workers.index.part import DIRECTORY, IndexPart
from workers.index.vectors import vectors_of

if TYPE_CHECKING:
    import pyarrow as pa

OnProgress = Callable[[str, int, int], None]
# Segments of a row group: 24 MB of vectors of width 768.
GROUP = 8192


def export_parquet(
    collection: Path,
    out: Path,
    version: str = "",
    force: bool = False,
    on_progress: OnProgress | None = None,
    group: int = GROUP,
) -> tuple[Version, int]:
    """Write the segments of a version, the current one for "", to a file; return it and the rows.

    The file is there whole or not at all; memory holds a row group. force: replace a file that is there.
    Vectors are as stored: of indexes that keep no originals, as their codes say. Mismatch for a damaged part.
    """
    _, parquet = _library()
    check_place(collection, out, force and out.is_file(), "replace a file")
    corpus = open_corpus(collection, version)
    tell, rows = on_progress or (lambda *_: None), 0
    options: dict[str, Any] = {"compression": "zstd", "use_dictionary": ["video", "uri"]}
    try:
        with held(collection, corpus.id), replacing(out) as partial:
            schema = schema_of(corpus)
            with parquet.ParquetWriter(partial, schema, **options) as writer:
                for batch in batches(corpus, schema, group):
                    writer.write_batch(batch, row_group_size=group)
                    rows += batch.num_rows
                    tell("segments", rows, corpus.version.segments)
    except OSError as error:
        raise refusal(error, out) from error
    return corpus.version, rows


def check_place(collection: Path, out: Path, may: bool, what: str) -> None:
    """Refuse what is there, unless it may be written, and what lies in the collection. what: --force does."""
    if out.exists() and not may:
        raise InvalidInput(f"{out} exists already; give --force to {what}, or another name.")
    if out.resolve().is_relative_to(collection.resolve()):
        raise InvalidInput(f"{out} lies inside the collection {collection}: choose another place.")


def schema_of(corpus: Corpus) -> "pa.Schema":
    """Return the columns, with what the vectors are of in the metadata."""
    pa, _ = _library()
    version = corpus.version
    about = {
        "collection": version.collection,
        "version": version.id,
        "embedding_model": version.embedding_model,
        "encoder": version.index_encoder.source,
        "metric": version.metric,
        "segment_length": version.segment_length,
    }
    columns = {
        "video": pa.string(),
        "segment": pa.int32(),
        "start": pa.float64(),
        "end": pa.float64(),
        "vector": pa.list_(pa.float32(), version.dim),
        "said": pa.string(),
        "written": pa.string(),
        "uri": pa.string(),
        "labels": pa.list_(pa.string()),
        "date": pa.timestamp("ms", "UTC"),
    }
    return pa.schema(columns, metadata={"spr": json.dumps(about)})


def batches(corpus: Corpus, schema: "pa.Schema", size: int = GROUP) -> Iterator["pa.RecordBatch"]:
    """Yield the rows of a version, at most `size` at once, none of two parts."""
    for part in corpus.parts:
        verify(part.directory, part.about, [name for name in part.about.files if _read(name)])
        texts = PartTexts.open(part.directory)
        try:
            yield from _part(corpus, part, texts, schema, size)
        finally:
            if texts is not None:
                texts.close()


def _read(name: str) -> bool:
    return name in (CATALOGUE, FILE) or name.startswith(f"{DIRECTORY}/")


def _part(
    corpus: Corpus, part: PartOfVersion, texts: PartTexts | None, schema: "pa.Schema", size: int
) -> Iterator["pa.RecordBatch"]:
    index = IndexPart.open(part.directory / DIRECTORY, "cpu")
    catalogue = PartCatalogue.open(part.directory)
    rows = np.flatnonzero(part.ordinals[index.videos] >= 0)
    for begin in range(0, len(rows), size):
        chosen = rows[begin : begin + size]
        videos, segments = index.videos[chosen], index.segments[chosen]
        vectors = vectors_of(index, chosen)
        yield _batch(corpus, catalogue, texts, schema, (videos, segments, vectors))


def _batch(
    corpus: Corpus,
    catalogue: PartCatalogue,
    texts: PartTexts | None,
    schema: "pa.Schema",
    found: tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float32]],
) -> "pa.RecordBatch":
    pa, _ = _library()
    videos, segments, vectors = found
    length, names = corpus.version.segment_length, videos.tolist()
    dates = catalogue.known.dates[videos]
    columns = {
        "video": [catalogue.ids[video] for video in names],
        "segment": segments,
        "start": segments * length,
        "end": np.minimum((segments + 1) * length, catalogue.durations[videos]),
        "vector": pa.FixedSizeListArray.from_arrays(vectors.reshape(-1), vectors.shape[1]),
        **_texts(catalogue, texts, length, names, segments.tolist()),
        "uri": [catalogue.uris[video] for video in names],
        "labels": [catalogue.known.labels[video] for video in names],
        "date": pa.array(
            np.nan_to_num(dates * 1000).astype(np.int64), schema.field("date").type, mask=dates != dates
        ),
    }
    return pa.record_batch([pa.array(columns[field.name], field.type) for field in schema], schema=schema)


def _texts(
    catalogue: PartCatalogue, texts: PartTexts | None, length: float, videos: list[int], segments: list[int]
) -> dict[str, list[str | None]]:
    """Return the columns of TEXTS: of each (video, segment) its lines, as they are indexed."""
    if texts is None:
        return {channel: [None] * len(videos) for channel in TEXTS}
    of_video: dict[tuple[int, str], dict[int, str]] = {}
    for video in dict.fromkeys(videos):
        said, written = (tuple(texts.all(video, channel)) for channel in TEXTS)
        for channel in TEXTS:
            duration = float(catalogue.durations[video])
            of_video[video, channel] = segment_texts(Texts(said, written), channel, duration, length)
    return {
        channel: [of_video[video, channel].get(one) for video, one in zip(videos, segments, strict=True)]
        for channel in TEXTS
    }


def _library() -> tuple[Any, Any]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ModuleNotFoundError:
        message = "Parquet needs pyarrow; install it with: pip install 'spr-engine[parquet]'"
        raise InvalidInput(message, "NOT_INSTALLED") from None
    return pyarrow, parquet
