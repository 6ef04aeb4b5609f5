"""Video files to features, beside decoding the same files and throwing the pictures away."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bench import ingest_speed, models
from bench.films import BY_SIZES, KEY_FRAMES, LARGE, make
from bench.results import Figure, Outcome, Setup, Way
from trainer.world.build import build_world

_VIDEOS = {"full": 120, "quick": 8, "tiny": 2}


def run(setup: Setup) -> Outcome:
    """Time decoding, sampling, encoding and the whole ingest of rendered videos and films, on all cores."""
    sizes = setup.sizes
    count = _VIDEOS[sizes.name]
    films = BY_SIZES[sizes.name]
    # What is said is encoded too: a text tower of full size would be all that is timed.
    encoder = str(models.write_encoder(setup.cache, replace(sizes, tower=(64, 1, 2))))
    runs = max(1, sizes.slow // 2)
    rows = _rows(
        "", "", ingest_speed.measure([_rendered(setup.cache, count)], encoder, device="cpu", runs=runs)
    )
    found = ingest_speed.measure([make(setup.cache, films)], encoder, device="cpu", runs=1)
    rows += _rows("films ", "H.264 films, ", found)
    everything, needed = found[0].seconds, found[1].seconds
    rows.append(
        Figure("films left out", "H.264 films, decode over every picture", "ours", everything / needed, "x")
    )
    if sizes.name == "full":
        large = ingest_speed.measure([make(setup.cache, LARGE)], encoder, device="cpu", runs=1)[-1]
        rows.append(Figure("4k memory", "a 4K file, all processes of ingest", "ours", large.peak_mb, "MB"))
    (width, height), (long, each), (short, seconds) = films.size, films.long, films.short
    return Outcome(
        rows,
        [
            f"{count} rendered videos with subtitles; towers that cost nothing to speak of, "
            "so what is timed is decoding, sampling and bookkeeping. All cores are used.",
            f"Films: {long} of {each} s and {short} of {seconds} s, {width} x {height}, at most "
            f"{', '.join(map(str, KEY_FRAMES))} pictures from key frame to key frame, cuts every 4 s, x264's "
            "B-frames. Pictures are those of the files, decoded or not. Decode: what a picture a second is "
            "made from, without scaling it.",
        ],
    )


def _rows(key: str, label: str, found: Sequence[ingest_speed.StageSpeed]) -> list[Figure]:
    rows = []
    for row in found:
        way: Way = "ours" if row.stage in ("encode", "ingest") else "floor"
        more = {"times_real": row.times_real, "of_decoding": row.of_decoding, "seconds": row.seconds}
        more |= {"peak_mb": row.peak_mb} if row.peak_mb else {}
        figure = row.pictures_per_second
        rows.append(Figure(key + row.stage, label + row.stage, way, figure, "pictures/s", more))
    return rows


def _rendered(cache: Path, count: int) -> Path:
    world = cache / f"world-{count}"
    if not (world / "world.json").is_file():
        build_world(world, count, seed=1)
    return world / "videos"
