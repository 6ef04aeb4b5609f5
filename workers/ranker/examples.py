"""Examples to a query's vectors: pictures by the image tower, spans of videos by their stored frames.

Both take the way of a video: frames (encoder dim) are cut into segments, and the projector's side of videos
brings those into the index's space, so that a span's own segment has the cosine 1. A picture is a segment
that stands still. Several examples are averaged, each at unit length. Where a clip encoder made the index, an
example is its frames with the clip of each behind them, (frames, encoder dim + clip dim).

Any two pictures are nearer to each other than most encoders put a picture and a sentence. What the ranker
compares with frames is therefore less the mean of the version's frames: tuned on val, docs/queries.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from engine.errors import InvalidInput, Mismatch
from engine.examples import Frame, Picture, Shown, Source, Span
from engine.types import EncodedQuery, Floats
from workers.pictures import small_picture
from workers.ranker.encoder.encoder import Encoder
from workers.ranker.models import Models
from workers.ranker.projection.segments import segment_inputs, video_rows
from workers.ranker.stores.features import CLIPS, FRAMES

MOST_SEGMENTS = 150  # of a span, evenly chosen: ten minutes
SAMPLED = 4096  # frames that the mean is of


@dataclass(frozen=True, slots=True)
class Asked:
    """The examples of a query; alone: what the one there is shows, not less the version's mean."""

    sources: Sequence[Source]
    alone: bool = False


class ExampleEncoder:
    """Encodes the examples of queries for one version. Safe to call from several threads."""

    def __init__(self, models: Models) -> None:
        self._models = models

    def encode(self, sources: Sequence[Source]) -> EncodedQuery:
        """Return the mean of examples; InvalidInput names the one that cannot be used.

        embedding: (dim,) unit, in the index's space. token_states: (0, width). text_embedding: (encoder dim,)
        mean unit frame less the version's mean.
        """
        self._check_width()
        shown = [self._shown(source, number) for number, source in enumerate(sources)]
        embedding = _unit(np.mean([one.embedding for one in shown], axis=0))
        frames = np.mean([one.frame for one in shown], axis=0)
        return self._encoded(embedding, _unit(_unit(frames) - self._mean))

    def alone(self, source: Source) -> EncodedQuery:
        """Return what one example shows, for a worker that lacks its shard: see `Shown`."""
        self._check_width()
        shown = self._shown(source, 0)
        return self._encoded(shown.embedding, shown.frame)

    def encode_many(self, queries: Sequence["Asked"]) -> list[EncodedQuery]:
        """Encode several queries, one after the other."""
        return [
            self.alone(asked.sources[0]) if asked.alone else self.encode(asked.sources) for asked in queries
        ]

    def _encoded(self, embedding: Floats, frames: Floats) -> EncodedQuery:
        nothing = np.zeros((0, self._models.encoder.token_width), np.float32)
        return EncodedQuery(embedding, nothing, frames, self._models.queries.embedding_model)

    def _shown(self, source: Source, number: int) -> Shown:
        if isinstance(source, Shown):
            return source
        rows = self._rows(source, number)
        frames = _units(rows[:, : self._models.encoder.dim])
        return Shown(self._projected(rows), _unit(frames.mean(axis=0)))

    def frames(self, pictures: Sequence[bytes]) -> Floats:
        """Return what the image tower says of picture files, (n, encoder dim), un-normalised.

        With a clip encoder, unit rows (n, encoder dim + clip dim): a picture is a clip that stands still.
        """
        encoder = self._models.encoder
        if not isinstance(encoder, Encoder):
            raise Mismatch(
                f"collection {self._models.version.collection!r} holds imported features without their "
                "encoder, so it cannot be searched by picture; name a span of one of its videos, or import "
                "the features with --encoder"
            )
        encoder.hold_image_weights()
        small = [small_picture(data, encoder.frame_edge) for data in pictures]
        rows = np.concatenate([encoder.images(picture[None]) for picture in small])
        if (clips := self._models.queries.clips) is None:
            return rows
        assert isinstance(clips, Encoder)
        clips.hold_image_weights()
        small = [small_picture(data, clips.frame_edge) for data in pictures]
        moving = np.concatenate([clips.clips(picture[None, None]) for picture in small])
        return np.concatenate([_units(rows), _units(moving)], axis=1)

    def _rows(self, source: Picture | Span | Frame, number: int) -> Floats:
        """Return what an example shows as rows (n, width) of the projector's streams."""
        try:
            if isinstance(source, Span):
                return self._stored(source)
            return self._still(self.frames([source.data])[0] if isinstance(source, Picture) else source.row)
        except InvalidInput as error:
            kind = {Picture: "image", Span: "span", Frame: "frame"}[type(source)]
            error.field = f"examples[{number}].{kind}"
            raise

    def _still(self, frame: Floats) -> Floats:
        """Return one frame in which nobody speaks."""
        if self._models.queries.clips is not None:
            return frame[None]
        streams = self._models.features.streams
        silence = {name: np.zeros((0, stream.dim), np.float32) for name, stream in streams.items()}
        return np.asarray(
            video_rows(
                self._models.projector.streams, lambda name: frame[None] if name == FRAMES else silence[name]
            ),
            np.float32,
        )

    def _stored(self, span: Span) -> Floats:
        """Return the rows of a span of a video: those of evenly chosen segments where there are many."""
        models = self._models
        models.check_held(np.array([span.video]))
        step, count = models.features.step(FRAMES), int(models.features.counts(FRAMES)[span.video])
        first = int(span.start / step + 1e-6)
        last = count if span.end is None else min(count, int(np.ceil(span.end / step - 1e-6)))
        if not first < last:
            message = f"the span begins at {span.start:g} s, where the video of {count * step:g} s has no "
            raise InvalidInput(message + "picture; name an earlier one")
        length = models.projector.segment_length
        starts = np.arange(first, last, length)
        if len(starts) > MOST_SEGMENTS:
            starts = starts[np.linspace(0, len(starts) - 1, MOST_SEGMENTS).astype(int)]
        chosen = (starts[:, None] + np.arange(length)).reshape(-1)
        chosen = chosen[chosen < last]
        return np.asarray(stored_rows(models, span.video)[chosen], np.float32)

    def _projected(self, rows: Floats) -> Floats:
        """Return the unit mean of the segments that rows are cut into, (dim,)."""
        models = self._models
        if models.queries.clips is not None:
            return _unit(_units(rows[:, models.encoder.dim :]).mean(axis=0))
        projector = models.projector
        inputs = segment_inputs(rows, projector.segment_length, projector.around)
        with torch.inference_mode():
            given = torch.from_numpy(np.ascontiguousarray(inputs)).to(models.device)
            segments = projector.segments(given).float().cpu().numpy()
        return _unit(_units(segments).mean(axis=0))

    @cached_property
    def _mean(self) -> Floats:
        """The mean of the version's unit frames, of some evenly chosen ones, (encoder dim,)."""
        stream = self._models.every_frame
        counts = np.cumsum(stream.counts)
        total = int(counts[-1]) if len(counts) else 0
        if not total:
            return np.zeros(stream.dim, np.float32)
        chosen = np.unique(np.linspace(0, total - 1, min(SAMPLED, total)).astype(np.int64))
        videos = np.searchsorted(counts, chosen, side="right")
        rows = stream.starts[videos] + chosen - (counts[videos] - stream.counts[videos])
        mean: Floats = _units(np.asarray(stream.rows[rows], np.float32)).mean(axis=0)
        return mean

    def _check_width(self) -> None:
        """Refuse (Mismatch) features that the encoder did not make: nothing compares with them."""
        models = self._models
        if (width := models.features.streams[FRAMES].dim) != models.encoder.dim:
            raise Mismatch(
                f"the frames of version {models.version.id} are {width} wide and its sentences "
                f"{models.encoder.dim}, so it cannot be searched by example; ask with a sentence"
            )


def stored_rows(models: Models, video: int) -> NDArray[Any]:
    """Return what examples read of a video, a row a frame, unit ones where a clip encoder made the index."""
    read = partial(models.features.video, video)
    if models.queries.clips is None:
        return video_rows(models.projector.streams, read)
    frames = read(FRAMES)
    clips = np.repeat(read(CLIPS), models.projector.segment_length, axis=0)[: len(frames)]
    return np.concatenate([_units(np.asarray(rows, np.float32)) for rows in (frames, clips)], axis=1)


def _units(rows: Floats) -> Floats:
    """Return rows (n, dim) at unit length; zeros stay zeros."""
    lengths: Floats = np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    return np.asarray(rows / lengths, np.float32)


def _unit(row: Floats) -> Floats:
    return np.asarray(_units(row[None])[0], np.float32)
