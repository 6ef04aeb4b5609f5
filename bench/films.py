"""H.264 files as cameras and streams make them, made once: 1080p, key frames, B-frames and cuts as usual.

x264 is slow, so that only a piece of each kind is encoded; a file repeats its packets.
"""

from __future__ import annotations  # av.Packet is generic to type checkers only

import shutil
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from engine.files import replacing

RATE = 25
# Most pictures from key frame to key frame, of one kind of film after the other; a cut begins earlier.
KEY_FRAMES = (48, 120, 250)
CUT_SECONDS = 4


@dataclass(frozen=True, slots=True)
class Films:
    """size: of a picture. piece: seconds encoded. long, short: (files, seconds of each)."""

    size: tuple[int, int]
    piece: int
    long: tuple[int, int]
    short: tuple[int, int]


FULL = Films((1920, 1080), 12, (3, 200), (120, 4))
QUICK = Films((1920, 1080), 4, (1, 36), (8, 4))
TINY = Films((320, 180), 2, (1, 4), (2, 2))
# Of memory alone, which no length changes.
LARGE = Films((3840, 2160), 2, (1, 20), (0, 0))
BY_SIZES = {"full": FULL, "quick": QUICK, "tiny": TINY}


def make(cache: Path, films: Films) -> Path:
    """Return the folder of the files; what is there of an earlier run is taken."""
    name = f"films-{films.size[1]}-{films.piece}-{'-'.join(map(str, (*films.long, *films.short)))}"
    folder = cache / name
    if folder.is_dir():
        return folder
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    pieces = [piece(cache, films.size, films.piece, keys) for keys in KEY_FRAMES]
    # In order of name long ones come first: a core that has none left to begin would wait at the end.
    for kind, (count, seconds) in (("a-long", films.long), ("short", films.short)):
        for number in range(count):
            repeat(pieces[number % len(pieces)], partial / f"{kind}-{number:03d}.mp4", seconds)
    return partial.rename(folder)


def piece(cache: Path, size: tuple[int, int], seconds: int, keys: int) -> Path:
    """Return a file of so many seconds, of x264's usual settings and a key frame in `keys` pictures."""
    path = cache / f"piece-{size[1]}-{seconds}-{keys}.mp4"
    if path.is_file():
        return path
    scene = _scene(size, keys)
    with replacing(path) as partial, av.open(str(partial), "w", format="mp4") as out:
        # The range of key frames alone is chosen; three B-frames at most and cuts are the defaults.
        stream: Any = out.add_stream("libx264", rate=RATE, options={"preset": "fast", "g": str(keys)})
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        for number in range(seconds * RATE):
            frame = av.VideoFrame.from_ndarray(_shown(scene, size, number), format="gray").reformat(
                format="yuv420p"
            )
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def repeat(source: Path, path: Path, seconds: int) -> None:
    """Write a file that repeats the packets of another for `seconds`; its name makes its bytes its own."""
    with av.open(str(source)) as file, av.open(str(path), "w") as out:
        video = file.streams.video[0]
        out.metadata["title"] = path.stem
        stream = out.add_stream_from_template(video)
        packets = [(p, p.pts or 0, p.dts or 0) for p in file.demux(video) if p.size]
        tick = video.time_base or Fraction(1, RATE)
        length = round(len(packets) / RATE / tick)
        count = round(seconds * RATE)
        for number in range(count):
            again, place = divmod(number, len(packets))
            packet, pts, dts = packets[place]
            packet.pts, packet.dts = pts + again * length, dts + again * length
            packet.stream, packet.time_base = stream, tick
            out.mux(packet)


def _scene(size: tuple[int, int], seed: int) -> NDArray[np.uint8]:
    """Return a landscape of twice the size: noise of every scale, coarse ones strongest, and some grain."""
    rng = np.random.default_rng(seed)
    wide, high = 2 * size[0], 2 * size[1]
    total = np.zeros((high, wide), np.float32)
    for scale in (512, 128, 32, 8):
        coarse = rng.standard_normal((-(-high // scale), -(-wide // scale)), np.float32)
        total += np.kron(coarse, np.ones((scale, scale), np.float32))[:high, :wide] * scale**0.35
    total += rng.standard_normal(total.shape, np.float32)
    return np.clip(128 + 12 * total, 16, 235).astype(np.uint8)


def _shown(scene: NDArray[np.uint8], size: tuple[int, int], number: int) -> NDArray[np.uint8]:
    """Return a picture: a slow pan, a cut every CUT_SECONDS to another place, and something that moves."""
    shot, step = divmod(number, CUT_SECONDS * RATE)
    left, top = (shot * 700 + 2 * step) % size[0], (shot * 400 + step) % size[1]
    picture = scene[top : top + size[1], left : left + size[0]].copy()
    edge = size[1] // 5
    x, y = (5 * step) % (size[0] - edge), size[1] // 3
    picture[y : y + edge, x : x + edge] = scene[:edge, step : step + edge]
    return picture
