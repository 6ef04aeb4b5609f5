"""Segment vectors of a corpus of the published shape, made in seconds and kept in a file.

Videos, scenes and vectors are drawn as `trainer.formats.synthetic` draws them, but segment by segment instead
of frame by frame, and with noise that is put together from a pool: a row is the sum of two of 32,768 rows of
noise with random signs, so rows differ but cost two additions. Queries have noise of their own.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.files import read_json, replacing, write_json
from engine.types import Doubles, Floats, Ordinals
from trainer.formats.durations import VIDEOS, Lengths, lengths
from trainer.formats.synthetic import BLUR, CENTRES, FRAME, SCENE, SCENE_SECONDS, Space

SEGMENT = 4
CLIP = 1.5
_POOL = 32_768
_BLOCK = 16_384
_VERSION = 1


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


def load(cache: Path, share: float, dim: int, queries: int = 256) -> Corpus:
    """Return `share` of the published corpus, from the cache when it is there."""
    of_videos = lengths(None, share, 0)
    counts = -(-of_videos.frames // SEGMENT)
    videos, segments = _tables(counts)
    folder = cache / f"corpus-{len(counts)}x{dim}"
    about = {"version": _VERSION, "segments": len(videos), "dim": dim, "queries": queries}
    if not (folder / "about.json").is_file() or read_json(folder / "about.json") != about:
        folder.mkdir(parents=True, exist_ok=True)
        asked = _save(folder / "vectors.npy", counts, dim, queries)
        np.save(folder / "queries.npy", asked)
        write_json(folder / "about.json", about)
    vectors = np.load(folder / "vectors.npy", mmap_mode="r")
    return Corpus(of_videos, vectors, videos, segments, np.load(folder / "queries.npy"))


def blocks(counts: NDArray[np.int64], dim: int, seed: int = 0) -> Iterator[tuple[Floats, Floats]]:
    """Yield (vectors of unit length, what their scenes show), (m, dim) each, of videos of so many segments."""
    space, rng = Space.of(seed, dim), np.random.default_rng([seed, 7])
    pool = Pool(space, rng)
    videos = np.repeat(np.arange(len(counts)), counts)
    own = rng.choice(CENTRES, (len(counts), 8), p=space.popularity)
    several = rng.integers(3, 9, len(counts))
    # A segment begins a new scene as often as a cut falls into four seconds.
    fresh = rng.random(len(videos)) < 1 - np.exp(-SEGMENT / SCENE_SECONDS)
    fresh |= np.diff(videos, prepend=-1) > 0
    scenes = np.cumsum(fresh) - 1
    of_scene = videos[fresh]
    shown = own[of_scene, rng.integers(0, several[of_scene])]
    places = pool.places(rng, int(fresh.sum()))
    for start in range(0, len(videos), _BLOCK):
        rows = scenes[start : start + _BLOCK]
        scene = space.mean + space.centres[shown[rows]] + SCENE * pool.rows(places[rows])
        vectors = scene + FRAME / np.sqrt(SEGMENT) * pool.rows(pool.places(rng, len(rows)))
        yield unit(vectors), scene


def ask(scenes: Floats, dim: int, seed: int = 0) -> Floats:
    """Return unit query vectors about scenes (n, dim): blurred, and shifted as texts are beside images."""
    space = Space.of(seed, dim)
    rng = np.random.default_rng([seed, 8])
    return unit(scenes + space.gap + BLUR * space.noise(rng, len(scenes)))


class Pool:
    """Noise of a space in a fixed number of rows, for many more sums of two of them."""

    def __init__(self, space: Space, rng: np.random.Generator) -> None:
        self._noise = space.noise(rng, _POOL) / np.float32(np.sqrt(2))

    def places(self, rng: np.random.Generator, rows: int) -> NDArray[np.int32]:
        """Return two places and two signs a row, (rows, 4), that say which noise it has."""
        signs = rng.integers(0, 2, (rows, 2), np.int32) * 2 - 1
        return np.concatenate([rng.integers(0, _POOL, (rows, 2), np.int32), signs], axis=1)

    def rows(self, places: NDArray[np.int32]) -> Floats:
        """Return the noise (n, dim) of places (n, 4)."""
        one = self._noise[places[:, 0]] * places[:, 2:3].astype(np.float32)
        one += self._noise[places[:, 1]] * places[:, 3:4].astype(np.float32)
        return one


def unit(rows: Floats) -> Floats:
    """Return rows at unit length."""
    norms = np.sqrt(np.einsum("nd,nd->n", rows, rows))[:, None]
    return np.asarray(rows / norms, np.float32)


def exact(vectors: Floats, queries: Floats, depth: int) -> NDArray[np.int64]:
    """Return the rows of the `depth` largest inner products of every query, (queries, depth), best first."""
    best = np.full((len(queries), 0), 0.0, np.float32)
    rows = np.zeros((len(queries), 0), np.int64)
    for start in range(0, len(vectors), 4 * _BLOCK):
        scores = queries @ vectors[start : start + 4 * _BLOCK].T
        kept = min(depth, scores.shape[1])
        near = np.argpartition(-scores, kept - 1, axis=1)[:, :kept]
        best = np.concatenate([best, np.take_along_axis(scores, near, 1)], axis=1)
        rows = np.concatenate([rows, near + start], axis=1)
        order = np.argsort(-best, axis=1, kind="stable")[:, :depth]
        best, rows = np.take_along_axis(best, order, 1), np.take_along_axis(rows, order, 1)
    return rows


def videos_for(segments: int) -> NDArray[np.int64]:
    """Return segments a video, (videos,), as the published corpus has them, `segments` in all."""
    published = -(-lengths(None, 1.0, 0).frames // SEGMENT)
    repeated = np.tile(published, 1 + segments // (VIDEOS * 15))
    last = int(np.searchsorted(np.cumsum(repeated), segments))
    counts = repeated[: last + 1].copy()
    counts[-1] -= int(counts.sum()) - segments
    return counts


def _tables(counts: NDArray[np.int64]) -> tuple[Ordinals, Ordinals]:
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
