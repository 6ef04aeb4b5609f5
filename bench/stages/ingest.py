"""Video files to features, beside decoding the same files and throwing the pictures away."""

from dataclasses import replace
from pathlib import Path

from bench import ingest_speed, models
from bench.results import Figure, Outcome, Setup, Way
from trainer.world.build import build_world

_VIDEOS = {"full": 120, "quick": 8, "tiny": 2}


def run(setup: Setup) -> Outcome:
    """Time decoding, sampling, encoding and the whole ingest of rendered videos, all cores busy."""
    sizes = setup.sizes
    count = _VIDEOS[sizes.name]
    videos = _rendered(setup.cache, count)
    # What is said is encoded too: a text tower of full size would be all that is timed.
    encoder = models.write_encoder(setup.cache, replace(sizes, tower=(64, 1, 2)))
    found = ingest_speed.measure([videos], str(encoder), device="cpu", runs=max(1, sizes.slow // 2))
    rows = []
    for row in found:
        way: Way = "ours" if row.stage in ("encode", "ingest") else "floor"
        more = {"times_real": row.times_real, "of_decoding": row.of_decoding, "seconds": row.seconds}
        rows.append(Figure(row.stage, row.stage, way, row.pictures_per_second, "pictures/s", more))
    return Outcome(
        rows,
        [
            f"{count} rendered videos with subtitles; towers that cost nothing to speak of, "
            "so what is timed is decoding, sampling and bookkeeping. All cores are used.",
        ],
    )


def _rendered(cache: Path, count: int) -> Path:
    world = cache / f"world-{count}"
    if not (world / "world.json").is_file():
        build_world(world, count, seed=1)
    return world / "videos"
