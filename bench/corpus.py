"""Segment vectors of a corpus of the published shape, made in seconds and kept in a file.

Videos, scenes and vectors are drawn as `trainer.formats.synthetic` draws them, but segment by segment instead
of frame by frame, and in one go for all videos. A corpus of more videos shows more things: the number of
centres grows with the videos, 2000 for the published ones, and the law of their popularity stays.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.files import read_json, replacing, write_json
from engine.types import Doubles, Floats, Ordinals
from trainer.formats.durations import VIDEOS, Lengths, lengths
from trainer.formats.synthetic import BLUR, CENTRES, FRAME, POOL, SCENE, SCENE_SECONDS, Space

SEGMENT = 4
CLIP = 1.5
_BLOCK = 16_384
_VERSION = 3


@dataclass(frozen=True, slots=True)
class Corpus:
    """vectors: (n, dim) float32 of unit length, mapped; videos, segments: (n,). queries: (q, dim) float32."""

    lengths: Lengths
    vectors: Floats
    videos: Ordinals
    segments: Ordinals
    queries: Floats

    @property
    def durations(self) -> Doubles:
        """Seconds of every video, by ordinal."""
        return self.lengths.seconds

    @property
    def counts(self) -> NDArray[np.int64]:
        """Segments of every video."""
        return -(-self.lengths.frames // SEGMENT)


def load(cache: Path, share: float, dim: int, queries: int = 512) -> Corpus:
    """Return `share` of the published corpus, from the cache when it is there."""
    of_videos = lengths(None, share, 0)
    counts = -(-of_videos.frames // SEGMENT)
    videos, segments = tables(counts)
    folder = cache / f"corpus-{len(counts)}x{dim}"
    about = {"version": _VERSION, "segments": len(videos), "dim": dim, "queries": queries}
    if not (folder / "about.json").is_file() or read_json(folder / "about.json") != about:
        folder.mkdir(parents=True, exist_ok=True)
        asked = _save(folder / "vectors.npy", counts, dim, queries)
        np.save(folder / "queries.npy", asked)
        write_json(folder / "about.json", about)
    vectors = np.load(folder / "vectors.npy", mmap_mode="r")
    return Corpus(of_videos, vectors, videos, segments, np.load(folder / "queries.npy"))


def blocks(
    counts: NDArray[np.int64], dim: int, seed: int = 0, only: NDArray[np.int64] | None = None
) -> Iterator[tuple[Floats, Floats]]:
    """Yield (unit vectors, what their scenes show), (m, dim) each, of videos of so many segments.

    only: the rows to yield, ascending, None for all; the others take hardly any time.
    """
    centres = max(1, round(CENTRES * len(counts) / VIDEOS))
    space, rng = Space.of(seed, dim, centres), np.random.default_rng([seed, 7])
    videos = np.repeat(np.arange(len(counts)), counts)
    own = rng.choice(centres, (len(counts), 8), p=space.popularity)
    several = rng.integers(3, 9, len(counts))
    # A segment begins a new scene as often as a cut falls into four seconds.
    fresh = rng.random(len(videos)) < 1 - np.exp(-SEGMENT / SCENE_SECONDS)
    fresh |= np.diff(videos, prepend=-1) > 0
    scenes = np.cumsum(fresh) - 1
    of_scene = videos[fresh]
    shown = own[of_scene, rng.integers(0, several[of_scene])]
    places = rng.integers(POOL, size=(2, int(fresh.sum())))
    for start in range(0, len(videos), _BLOCK):
        rows = scenes[start : start + _BLOCK]
        frames = rng.integers(POOL, size=(2, len(rows)))
        if only is not None:
            here = only[slice(*np.searchsorted(only, (start, start + _BLOCK)))] - start
            rows, frames = rows[here], frames[:, here]
        scene = space.mean + space.centres[shown[rows]] + SCENE * _noise(space, places[:, rows])
        # The mean of four frames has half of a frame's noise.
        vectors = scene + FRAME / np.sqrt(SEGMENT) * _noise(space, frames)
        yield unit(vectors), scene


def ask(scenes: Floats, dim: int, seed: int = 0) -> Floats:
    """Return unit query vectors about scenes (n, dim): blurred, and shifted as texts are beside images."""
    space = Space.of(seed, dim)
    rng = np.random.default_rng([seed, 8])
    return unit(scenes + space.gap + BLUR * space.noise(rng, len(scenes)))


def _noise(space: Space, places: NDArray[np.int64]) -> Floats:
    return np.asarray(space.pool[places[0]] + space.pool[places[1]])


def unit(rows: Floats) -> Floats:
    """Return rows at unit length."""
    norms = np.sqrt(np.einsum("nd,nd->n", rows, rows))[:, None]
    return np.asarray(rows / norms, np.float32)


class Nearest:
    """The rows of the `depth` largest inner products of every query, over vectors that come in blocks."""

    def __init__(self, queries: Floats, depth: int) -> None:
        self._queries, self._depth, self._seen = queries, depth, 0
        self._best = np.zeros((len(queries), 0), np.float32)
        self._rows = np.zeros((len(queries), 0), np.int64)

    @property
    def rows(self) -> NDArray[np.int64]:
        """Return (queries, depth) rows, best first."""
        return self._rows

    def add(self, vectors: Floats) -> None:
        """Take in the next vectors (m, dim)."""
        scores = self._queries @ vectors.T
        kept = min(self._depth, scores.shape[1])
        near = np.argpartition(-scores, kept - 1, axis=1)[:, :kept]
        best = np.concatenate([self._best, np.take_along_axis(scores, near, 1)], axis=1)
        rows = np.concatenate([self._rows, near + self._seen], axis=1)
        order = np.argsort(-best, axis=1, kind="stable")[:, : self._depth]
        self._best, self._rows = np.take_along_axis(best, order, 1), np.take_along_axis(rows, order, 1)
        self._seen += len(vectors)


def exact(vectors: Floats, queries: Floats, depth: int) -> NDArray[np.int64]:
    """Return the rows of the `depth` largest inner products of every query, (queries, depth), best first."""
    nearest = Nearest(queries, depth)
    for start in range(0, len(vectors), 4 * _BLOCK):
        nearest.add(vectors[start : start + 4 * _BLOCK])
    return nearest.rows


def videos_for(segments: int) -> NDArray[np.int64]:
    """Return segments a video, (videos,), as the published corpus has them, `segments` in all."""
    published = -(-lengths(None, 1.0, 0).frames // SEGMENT)
    repeated = np.tile(published, 1 + segments // (VIDEOS * 15))
    last = int(np.searchsorted(np.cumsum(repeated), segments))
    counts = repeated[: last + 1].copy()
    counts[-1] -= int(counts.sum()) - segments
    return counts


def tables(counts: NDArray[np.int64]) -> tuple[Ordinals, Ordinals]:
    """Return the video of every segment, and its number inside the video, (segments,) each."""
    videos = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
    starts = np.repeat(np.cumsum(counts) - counts, counts)
    return videos, np.asarray(np.arange(len(videos)) - starts, np.int32)


def _save(path: Path, counts: NDArray[np.int64], dim: int, queries: int) -> Floats:
    """Write all vectors, block by block; return queries about scenes here and there."""
    total = int(counts.sum())
    wanted = np.sort(np.random.default_rng(9).choice(total, min(queries, total), replace=False))
    scenes = []
    with replacing(path) as partial:
        out = np.lib.format.open_memmap(partial, "w+", np.float32, (total, dim))
        done = 0
        for vectors, shown in blocks(counts, dim):
            out[done : done + len(vectors)] = vectors
            here = wanted[(wanted >= done) & (wanted < done + len(vectors))]
            scenes.append(shown[here - done])
            done += len(vectors)
        out.flush()
        del out
    return ask(np.concatenate(scenes), dim)
