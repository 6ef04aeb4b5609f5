"""A few tiny videos with captions, and settings that train on them in no time."""

from pathlib import Path

import av
import numpy as np

from trainer.encoder.model import ModelShape
from trainer.encoder.settings import EncoderSettings

FPS, SIDE = 8, 32
COLOURS = {"red": (220, 30, 30), "blue": (40, 80, 230)}
SPLITS = ("train", "train", "train", "val")
TINY = EncoderSettings(
    steps=6,
    device="cpu",
    shape=ModelShape(image=32, width=64, layers=2, heads=2, text_layers=1, dim=32),
    batch=4,
    backgrounds=1,
    spoken=2,
    frames_per_event=3,
    val_frames_per_event=2,
)


def film(path: Path, colour: tuple[int, int, int], shapes: list[str], shade: int) -> None:
    """Write 3 s of nothing and 3 s of a thing for each shape, and one more second of nothing."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS)
        stream.width = stream.height = SIDE
        stream.pix_fmt = "yuv420p"
        for index in range((6 * len(shapes) + 1) * FPS):
            picture = np.full((SIDE, SIDE, 3), shade, np.uint8)
            if index // (3 * FPS) % 2:
                high = 10 if shapes[index // (6 * FPS)] == "bar" else 20
                picture[6 : 6 + high, 8:20] = colour
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
