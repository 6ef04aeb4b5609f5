import json
from pathlib import Path

import pytest

from tests.trainer.encoder.tiny import COLOURS, SPLITS, film


@pytest.fixture(scope="package")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("world")
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
