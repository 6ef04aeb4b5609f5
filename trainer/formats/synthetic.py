"""Features without videos: a collection of any size that an index finds as hard as real ones.

    space       variances fall as 1/rank along random directions, as those of image encoders do, around a mean
                that all frames share
    centres     2000 things to be seen in it, a few of them common and most of them rare
    videos      a handful of centres each; scenes of a few seconds show one, a little off it; frames vary less
    queries     each is about one scene: its vector, blurred and shifted as texts are beside images

Every video is drawn from (seed, its number) alone: the same in a small and a large run of the same names, and
after an interruption.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.errors import InvalidInput
from engine.files import fingerprint
from trainer.collection.annotations import JudgedMoment, JudgedQuery
from trainer.collection.places import describe_collection
from trainer.formats.appending import append_all
from trainer.formats.durations import Lengths
from trainer.formats.splits import write_split
from trainer.progress import Progress
from workers.feature_store.store import FeatureStore, NewVideo, Stream
from workers.ranker.encoder.known_queries import POOLED, TOKENS, text_key
from workers.ranker.stores.features import FRAMES, SUBTITLES

Floats = NDArray[np.float32]

CENTRES = 2000
POOL = 16_384
RECIPE = "synthetic-2"
NORM = 10.0
MEAN, SCENE, FRAME, BLUR = 0.7, 0.5, 0.25, 0.6
SCENE_SECONDS = 5.0
TOKEN_COUNT = 12


@dataclass(frozen=True)
class Space:
    """What vectors are drawn from. mean, gap: (dim,). pool: (POOL, dim) noise, each half of the variance.

    Sums of two of the pool are as good as new noise, at a tenth of the time: there are 10^8 of them.
    """

    seed: int
    pool: Floats
    mean: Floats
    gap: Floats
    centres: Floats
    popularity: NDArray[np.float64]

    @staticmethod
    def of(seed: int, dim: int, centres: int = CENTRES) -> "Space":
        """Return the space of a seed; a space of more centres has all centres of one with fewer."""
        rng = np.random.default_rng([seed, 2])
        spectrum = 1.0 / np.arange(1, dim + 1)
        directions = np.linalg.qr(rng.standard_normal((dim, dim)))[0]
        root = (np.sqrt(spectrum / spectrum.sum())[:, None] * directions.T).astype(np.float32)
        mean, gap = (MEAN * row / np.linalg.norm(row) for row in rng.standard_normal((2, dim)))
        popularity = 1.0 / (np.arange(centres) + 10.0)
        return Space(
            seed=seed,
            pool=np.asarray(np.sqrt(0.5) * rng.standard_normal((POOL, dim), np.float32) @ root, np.float32),
            mean=mean.astype(np.float32),
            gap=gap.astype(np.float32),
            centres=rng.standard_normal((centres, dim), np.float32) @ root,
            popularity=popularity / popularity.sum(),
        )

    @property
    def dim(self) -> int:
        """Width of a vector."""
        return len(self.mean)

    def noise(self, rng: np.random.Generator, rows: int) -> Floats:
        """Return vectors (rows, dim) of unit mean square length."""
        one, other = rng.integers(POOL, size=(2, rows))
        return np.asarray(self.pool[one] + self.pool[other])

    def scenes(self, number: int, frames: int) -> tuple[NDArray[np.int64], Floats]:
        """Return where a video's scenes begin (s,), and what they show (s, dim)."""
        rng = np.random.default_rng([self.seed, 3, number])
        own = rng.choice(CENTRES, int(rng.integers(3, 9)), p=self.popularity)
        cuts = np.cumsum(1 + rng.exponential(SCENE_SECONDS - 1, frames)).astype(np.int64)
        starts = np.unique(np.concatenate([[0], cuts[cuts < frames]]))
        shown = self.centres[rng.choice(own, len(starts))]
        return starts, np.asarray(self.mean + shown + SCENE * self.noise(rng, len(starts)))

    def video(self, number: int, frames: int) -> Floats:
        """Return a video's frames, (frames, dim)."""
        starts, shown = self.scenes(number, frames)
        rng = np.random.default_rng([self.seed, 4, number])
        of_frame = np.searchsorted(starts, np.arange(frames), side="right") - 1
        return np.asarray(NORM * (shown[of_frame] + FRAME * self.noise(rng, frames)), np.float32)

    def query(self, number: int, scene: Floats) -> tuple[Floats, Floats]:
        """Return the pooled vector (1, dim) and tokens (t, dim) of a sentence about a scene."""
        rng = np.random.default_rng([self.seed, 5, number])
        pooled = np.asarray(NORM * (scene + self.gap + BLUR * self.noise(rng, 1)), np.float32)
        return pooled, np.asarray(pooled + NORM * self.noise(rng, TOKEN_COUNT), np.float32)


@dataclass(frozen=True, slots=True)
class Synthesized:
    """What was made. new_videos: those that were not there before. replaced: splits that had queries."""

    collection: str
    encoder: str
    videos: int
    new_videos: int
    segments: int
    frames: int
    queries: int
    dim: int
    replaced: list[str]


def synthesize(
    out: Path, lengths: Lengths, *, dim: int = 768, seed: int = 0, queries: int = 500
) -> Synthesized:
    """Make a collection of these videos at `out`; an interrupted run goes on where it stopped."""
    if dim < 2:
        raise InvalidInput(f"--dim {dim} is too few; use at least 2.")
    space = Space.of(seed, dim)
    name = fingerprint(RECIPE.encode(), str(seed).encode(), str(dim).encode())
    describe_collection(out)
    streams = {FRAMES: Stream(dim, 1.0), SUBTITLES: Stream(dim, 1.0)}
    meta = {"encoder": RECIPE, "source": f"queries/{name}", "fingerprint": name}
    total = len(lengths.names)
    with FeatureStore.ensure(out / "features" / name, streams, "float16", meta) as store:
        todo = [number for number, video in enumerate(lengths.names) if video not in store]
        done = total - len(todo)
        with Progress("videos", total, done, unit="videos") as progress:
            append_all(store, _videos(space, lengths, todo), progress, done)
    judged = _write_queries(out, space, lengths, name, queries)
    durations = dict(zip(lengths.names, lengths.seconds.tolist(), strict=True))
    replaced = write_split(out, "test", judged, durations)
    return Synthesized(
        collection=str(out),
        encoder=name,
        videos=total,
        new_videos=len(todo),
        segments=lengths.segments,
        frames=int(lengths.frames.sum()),
        queries=len(judged),
        dim=dim,
        replaced=["test"] if replaced else [],
    )


def _videos(space: Space, lengths: Lengths, numbers: list[int]) -> Iterator[NewVideo]:
    for number in numbers:
        rows = space.video(number, int(lengths.frames[number])).astype(np.float16)
        yield NewVideo(lengths.names[number], {FRAMES: rows}, duration=float(lengths.seconds[number]))


def _write_queries(out: Path, space: Space, lengths: Lengths, name: str, count: int) -> list[JudgedQuery]:
    """Store the features of queries about scenes of random videos, and return their one true moment each."""
    rng = np.random.default_rng([space.seed, 6])
    judged, features = [], []
    for number, video in enumerate(rng.integers(0, len(lengths.names), count).tolist()):
        starts, shown = space.scenes(video, int(lengths.frames[video]))
        scene = int(rng.integers(len(starts)))
        seconds = float(lengths.seconds[video])
        end = min(float([*starts, lengths.frames[video]][scene + 1]), seconds)
        start = min(float(starts[scene]), end / 2)
        text = f"synthetic query {number:06}"
        moment = JudgedMoment(0, lengths.names[video], start, end, seconds, text, 1.0, 4.0)
        judged.append(JudgedQuery(number, text, (moment,)))
        pooled, tokens = space.query(number, shown[scene])
        features.append(NewVideo(text_key(text), {POOLED: pooled, TOKENS: tokens}, info={"text": text}))
    streams = {POOLED: Stream(space.dim, 1.0), TOKENS: Stream(space.dim, 1.0)}
    meta = {"encoder": RECIPE, "fingerprint": name}
    with FeatureStore.ensure(out / "queries" / name, streams, "float32", meta) as store:
        store.extend([new for new in features if new.id not in store])
    return judged
