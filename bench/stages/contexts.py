"""Encoding what the ranker reads of an hour of video, once, when a part is made."""

import numpy as np
import torch

from bench import models
from bench.results import Figure, Outcome, Setup
from bench.sizes import Sizes
from bench.timing import laps
from workers.ranker.model.relo import Relo
from workers.ranker.model.whole import encode_videos
from workers.ranker.stores.features import SUBTITLES, FeatureMaps, FeatureStream

_HOUR, _VIDEO = 3600.0, 76.0
_WINDOW = 128


def run(setup: Setup) -> Outcome:
    """Time the encoding of an hour in videos of the published length, and the one multiplication in it."""
    sizes = setup.sizes
    torch.set_num_threads(setup.threads)
    torch.manual_seed(0)
    relo = Relo(models.ranker_config(sizes)).eval()
    store = hour_of_videos(sizes)
    device = torch.device("cpu")
    ours = laps(lambda _: list(encode_videos(relo, store, device)), max(2, sizes.slow), warm=1, seconds=30)
    scale = 1 / 1000
    clips = len(store.rows(models.CLIPS))
    padded = _published(relo, sizes.dim, sizes.slow)
    floor = _multiplications(relo, clips, sizes.dim)
    more = {"clips": clips, "hours_an_hour": len(store) * _VIDEO / (ours.median * scale)}
    rows = [
        Figure("ours", "one hour, videos as they are", "ours", ours.median * scale, "s", more),
        Figure(
            "published",
            "the windows of one query, padded to 128, from one",
            "published",
            padded * scale * 150,
            "s",
        ),
        Figure("floor", "its matrix products alone", "floor", floor * scale, "s"),
    ]
    note = "The published way encodes no video once: it encodes the windows of 150 proposals for every query."
    return Outcome(rows, [note])


def hour_of_videos(sizes: Sizes) -> FeatureMaps:
    """Return random features of an hour, in videos of the published length; of less for a test."""
    videos, dim = round(_HOUR / _VIDEO) if sizes.dim >= 512 else 3, sizes.dim
    rng = np.random.default_rng(14)
    clips = int(np.ceil(_VIDEO / models.CLIP_SECONDS))
    streams = {
        name: FeatureStream.of(
            rng.standard_normal((videos * clips, dim), np.float32), [clips] * videos, models.CLIP_SECONDS
        )
        for name in (models.CLIPS, SUBTITLES)
    }
    return FeatureMaps(streams, np.full(videos, _VIDEO))


def _published(relo: Relo, dim: int, runs: int) -> float:
    """Return the milliseconds of one window of 128 clips."""
    rng = np.random.default_rng(15)
    video, words = (torch.from_numpy(rng.standard_normal((1, _WINDOW, dim), np.float32)) for _ in range(2))
    mask = torch.ones(1, _WINDOW)

    def encode(_: int) -> None:
        with torch.inference_mode():
            relo.encode_context(video, words, mask)

    return laps(encode, 2 + runs).median


def _multiplications(relo: Relo, clips: int, dim: int) -> float:
    """Return the milliseconds of all products of clips with weights, in one go each."""
    hidden = relo.config.hidden
    rows, weights = torch.ones(clips, dim), torch.ones(dim, hidden)
    # Of each stream an input projection, and four products in each of three encoders and the first three in
    # the attention across.
    products = 2 * (1 + 3 * 4 + 3)
    return products * laps(lambda _: rows @ weights, 5).median
