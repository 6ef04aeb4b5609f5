"""Films to features with a tower of ViT-L/14's size on the device, and what NVDEC decodes of them."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import av
import torch
from av.codec.hwaccel import HWAccel
from av.error import FFmpegError

from bench import ingest_speed, models
from bench.films import RATE, TINY, Films, make
from bench.results import Figure, Outcome, Setup
from bench.timing import laps
from engine.cores import cores
from trainer.ingest.scan import find

FILMS = Films((1920, 1080), 4, (32, 60), (64, 4))
_SESSIONS = 8


def run(setup: Setup, device: torch.device) -> Outcome:
    """Time decoding on all cores, the whole ingest, and decoding by the card's own decoder."""
    on_gpu = device.type == "cuda"
    folder = make(setup.cache, FILMS if on_gpu else TINY)
    vision = models.VIT_L_14 if on_gpu else models.NO_VISION
    encoder = str(models.write_encoder(setup.cache, setup.sizes, vision))
    rows = [
        Figure(
            row.stage,
            row.stage,
            "ours" if row.stage in ("encode", "ingest") else "floor",
            row.times_real,
            "s of video a second",
            {"pictures_s": row.pictures_per_second, "of_decoding": row.of_decoding},
        )
        for row in ingest_speed.measure([folder], encoder, device=str(device), runs=1)
    ]
    notes = [f"1080p H.264, one picture a second; {cores()} cores decode."]
    try:
        speed = _decoded([one.path for one in find([folder])], _by_card if on_gpu else _by_cores)
        label = f"every picture, by {'NVDEC' if on_gpu else 'the cores'}, {_SESSIONS} files at a time"
        rows.append(Figure("nvdec", label, "floor", speed, "s of video a second"))
    except (FFmpegError, RuntimeError, NotImplementedError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        notes.append(f"NVDEC was not to be had: {reason}.")
    return Outcome(rows, notes)


def _decoded(files: list[Path], decode: Callable[[Path], int]) -> float:
    """Return the seconds of video a second, all pictures decoded and fetched."""
    counts: list[int] = []

    def whole(_: int) -> None:
        with ThreadPoolExecutor(_SESSIONS) as pool:
            counts[:] = pool.map(decode, files)

    taken = laps(whole, 1, warm=0)
    return sum(counts) / RATE / (taken.median / 1000)


def _by_card(path: Path) -> int:
    with av.open(str(path), hwaccel=HWAccel("cuda", allow_software_fallback=False)) as container:
        return sum(1 for _ in container.decode(video=0))


def _by_cores(path: Path) -> int:
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))
