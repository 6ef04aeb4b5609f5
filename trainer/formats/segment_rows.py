"""A version's segments as Arrow batches, for other engines: vectors, spans, texts, ids.

A row is a segment of a living video; shards, parts, videos and segments are in their order. Columns: `video`,
`segment`; `start`, `end` (seconds); `vector` (float32, unit length); `said`, `written` (its lines, null where
none); `uri`, `labels`, `date` of the video. The schema's metadata has under `spr` what the vectors are of.
"""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from engine.catalogue import CATALOGUE, PartCatalogue
from engine.corpus import Corpus, PartOfVersion
from engine.part_texts import FILE, PartTexts
from engine.texts import TEXTS
from engine.verification import verify
from trainer.collection.texts import segment_texts
from trainer.ingest.texts import Texts
from workers.index.part import DIRECTORY, IndexPart
from workers.index.vectors import vectors_of

if TYPE_CHECKING:
    import pyarrow as pa

# Segments of a batch: 24 MB of vectors of width 768.
GROUP = 8192


def schema_of(corpus: Corpus) -> "pa.Schema":
    """Return the columns, with what the vectors are of in the metadata."""
    import pyarrow as pa

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
    """Yield the rows of a version, at most `size` at once, none of two parts.

    Vectors are as stored: of indexes that keep no originals, as their codes say. Mismatch for a damaged part.
    """
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
    import pyarrow as pa

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
