"""A world of a few tiny videos: coloured bars and boxes, captions, spoken sentences."""

import json
from pathlib import Path

import av
import numpy as np

FPS, SIDE = 8, 32
COLOURS = {"red": (220, 30, 30), "blue": (40, 80, 230)}
SPLITS = ("train", "train", "train", "val")


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


def make(folder: Path) -> Path:
    """Write the world, without queries."""
    (folder / "videos").mkdir()
    lines = []
    for number, split in enumerate(SPLITS):
        colour = list(COLOURS)[number % 2]
        film(folder / f"videos/v{number}.mp4", COLOURS[colour], ["bar", "box"], 60 + 20 * number)
        for place, shape in enumerate(("bar", "box")):
            lines.append(
                {
                    "video": f"v{number}",
                    "split": split,
                    "start": 6.0 * place + 3,
                    "end": 6.0 * place + 6,
                    "caption": f"a {colour} {shape} rests",
                    "still": f"a {colour} {shape}",
                    "attributes": {
                        "colour": colour,
                        "shape": shape,
                        "motion": "rest",
                        "facts": {"topic": shape},
                    },
                    "subtitle": f"Let us talk about the {shape}",
                    "spoken": f"someone mentions the {shape}",
                }
            )
    (folder / "captions.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder
