"""Pictures with texts, and videos of them."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Picture = NDArray[np.uint8]
RATE = 4


def written(
    *lines: str, size: tuple[int, int] = (320, 180), letters: int = 14, over: Picture | None = None
) -> Picture:
    """Return a picture with lines of text, one below the other, in letters of so many pixels."""
    picture = Image.new("RGB", size, (206, 210, 214)) if over is None else Image.fromarray(over)
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(letters)
    for number, line in enumerate(lines):
        draw.text((size[0] // 16, size[1] // 10 + 2 * number * letters), line, (20, 24, 60), font)
    return np.asarray(picture)


def moving(number: int, size: tuple[int, int] = (320, 180)) -> Picture:
    """Return a picture of a scene that moves: broad, soft stripes."""
    light = 150 + 60 * np.sin((np.arange(size[0]) + 23 * number) / 40)
    return np.broadcast_to(light[None, :, None], (size[1], size[0], 3)).astype(np.uint8)


def stands(*pictures: tuple[Picture, float]) -> list[Picture]:
    """Return RATE pictures a second, each for some seconds."""
    return [picture for picture, seconds in pictures for _ in range(round(seconds * RATE))]


def write_film(path: Path, pictures: Iterable[Picture], sizes: Sequence[int] = (320, 180)) -> Path:
    """Write RATE pictures a second."""
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=RATE)
        stream.width, stream.height = sizes
        stream.pix_fmt = "yuv420p"
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return path
