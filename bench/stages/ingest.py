"""Video files to features, beside decoding the same files and throwing the pictures away."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from bench import ingest_speed, models
from bench.results import Context, Outcome, Row, Way

_VIDEOS = {"full": 120, "quick": 8, "tiny": 2}


def run(context: Context) -> Outcome:
    """Time decoding, sampling, encoding and the whole ingest of rendered videos, all cores busy."""
    sizes = context.sizes
    count = _VIDEOS[sizes.name]
    videos = _rendered(context.cache, count)
    # What is said is encoded too: a text tower of full size would be all that is timed.
    encoder = models.write_encoder(context.cache, replace(sizes, tower=(64, 1, 2)))
    found = ingest_speed.measure([videos], str(encoder), device="cpu", runs=max(1, sizes.slow // 2))
    rows = []
    for row in found:
        way: Way = "ours" if row.stage in ("encode", "ingest") else "floor"
        more = {"times_real": row.times_real, "of_decoding": row.of_decoding, "seconds": row.seconds}
        rows.append(Row(row.stage, row.stage, way, row.pictures_per_second, "pictures/s", more))
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
        command = [sys.executable, "-m", "spr_cli.main", "corpus", "render", str(world)]
        command += ["--videos", str(count), "--seed", "1"]
        subprocess.run(command, check=True, stdout=sys.stderr)
    return world / "videos"
