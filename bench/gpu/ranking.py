"""150 proposals scored against contexts in the device's memory: as one captured graph and step by step."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from bench import models
from bench.gpu.memory import read_ms, timed
from bench.results import Figure, Outcome, Setup
from bench.stages.contexts import hour_of_videos
from bench.timing import Laps, laps
from engine.types import Floats
from workers.ranker.model.relo import Relo
from workers.ranker.model.whole import encode_videos
from workers.ranker.model.windows import token_batch
from workers.ranker.scoring.decode import DecodeConfig
from workers.ranker.scoring.evidence import Heads, Jobs, QueryVectors
from workers.ranker.scoring.graph import DeviceScoring
from workers.ranker.scoring.stored import Scoring, StoredScorer, heads_of
from workers.ranker.stores.contexts import DIRECTORY, EncodedStore, write_encoded

PROPOSALS, TOGETHER = 150, 32
# Clips of a window: 17 in the mean, as of the published corpus.
_SHORTEST, _LONGEST = 5, 30
_VIDEOS, _CLIPS = 1_000, 100


def run(setup: Setup, device: torch.device) -> Outcome:
    """Time one query's windows and those of many, what the model makes of a sentence and of an hour."""
    sizes = setup.sizes
    torch.manual_seed(0)
    relo = Relo(models.ranker_config(sizes)).eval()
    heads = heads_of(relo, DecodeConfig())
    with tempfile.TemporaryDirectory() as folder:
        videos = _VIDEOS if device.type == "cuda" else 3
        store = _store(Path(folder), videos, sizes.dim)
        rows = _scored(setup, device, store, heads)
    relo = relo.to(device)
    rows += [_branch(setup, device, relo), _contexts(setup, device, relo)]
    note = f"Random contexts of {videos * _CLIPS:,} clips, float16 of {sizes.dim}; {PROPOSALS} windows of 17."
    return Outcome(rows, [note])


def _scored(setup: Setup, device: torch.device, store: EncodedStore, heads: Heads) -> list[Figure]:
    rng, runs = np.random.default_rng(2), setup.sizes.runs
    jobs, vectors = _asked(rng, store, 1)
    captured, plain = DeviceScoring(store, device), DeviceScoring(store, device)
    plain.captures = False
    one, step = (_laps(scoring, vectors, jobs, heads, runs) for scoring in (captured, plain))
    here = _laps(StoredScorer(store, torch.device("cpu"), setup.threads).scoring, vectors, jobs, heads, runs)
    all_jobs, all_vectors = _asked(rng, store, TOGETHER)
    many = _laps(captured, all_vectors, all_jobs, heads, runs)
    floor = read_ms(4.0 * float(jobs.lengths.sum()) * store.hidden, device)
    more = {"of_plain": one.median / step.median, "p99_ms": one.share(0.99)}
    label = "one query, a captured graph" if captured.captures else "one query, not captured"
    return [
        Figure("graph", label, "ours", one.median, more=more),
        Figure("plain", "one query, torch's operations one by one", "ours", step.median),
        Figure("cpu", f"one query, the CPU's kernel, {setup.threads} thread(s)", "ours", here.median),
        Figure("many", f"{TOGETHER} queries together, each", "ours", many.median / TOGETHER),
        Figure("floor", "reading their rows once", "floor", floor),
    ]


def _laps(scoring: Scoring, vectors: QueryVectors, jobs: Jobs, heads: Heads, runs: int) -> Laps:
    return laps(lambda _: scoring.score(vectors, jobs, heads), runs, warm=5)


def _store(folder: Path, videos: int, hidden: int) -> EncodedStore:
    rng = np.random.default_rng(3)

    def drawn() -> Iterator[tuple[Floats, Floats]]:
        for _ in range(videos):
            first, second = (rng.standard_normal((_CLIPS, hidden), np.float32) for _ in range(2))
            yield first, second

    write_encoded(folder / DIRECTORY, hidden, models.CLIP_SECONDS, "float16", drawn(), "random")
    return EncodedStore.open(folder)


def _asked(rng: np.random.Generator, store: EncodedStore, queries: int) -> tuple[Jobs, QueryVectors]:
    """Return windows of random places, and vectors of so many queries."""
    count = PROPOSALS * queries
    lengths = rng.integers(_SHORTEST, _LONGEST, count)
    first = rng.integers(0, lengths)
    rows = rng.integers(0, store.clips.sum() - _LONGEST, count)
    jobs = Jobs(rows, lengths, first, rng.integers(first, lengths), np.repeat(np.arange(queries), PROPOSALS))
    drawn = rng.standard_normal((4, queries, store.hidden), np.float32)
    drawn[:2] /= np.linalg.norm(drawn[:2], axis=-1, keepdims=True)
    return jobs, QueryVectors(*drawn)


def _branch(setup: Setup, device: torch.device, relo: Relo) -> Figure:
    tokens = np.random.default_rng(4).standard_normal((models.WORDS + 2, setup.sizes.tower[0]), np.float32)
    arrays = token_batch([tokens], relo.config.window)

    def work() -> None:
        with torch.inference_mode():
            relo.encode_query(*(torch.from_numpy(array).to(device) for array in arrays))

    taken = timed(work, device, setup.sizes.runs)
    return Figure("branch", "the query branch of the ranker, a sentence", "ours", taken.median)


def _contexts(setup: Setup, device: torch.device, relo: Relo) -> Figure:
    hour = hour_of_videos(setup.sizes)
    taken = laps(
        lambda _: list(encode_videos(relo, hour, device)), max(2, setup.sizes.slow), warm=1, seconds=20
    )
    return Figure("contexts", "contexts of an hour of video", "ours", taken.median / 1000, "s")
