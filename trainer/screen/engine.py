"""The reader of pictures: RapidOCR, PP-OCR's detection and recognition on ONNX Runtime."""

import importlib.util
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from engine.errors import Unavailable
from engine.texts import Box

INSTALL = "pip install 'spr-engine[screen]'"
# Pixels of the longer side in which text is sought; it is read at full size. Smaller pictures are not scaled
# up: letters of 7 pixels are found in pictures of 128 lines, of 12 in 720 (7 to 110 ms a picture).
_DETECTION_EDGE = 736
# Readings below are dropped. In 17 clips without texts the surest reading of two letters or more has 0.79; of
# 465 right readings of small print in JPEGs of quality 25 and 60 the least sure has 0.84.
_LEAST = 0.8
# Shorter ones are dropped, too: anything upright is an I or an X, with a score of 0.99.
_SHORTEST = 2


@dataclass(frozen=True, slots=True)
class Reading:
    """A text in a picture. score: how sure the recogniser is, 0..1."""

    text: str
    score: float
    box: Box


class ScreenEngine(Protocol):
    """A reader of pictures. name: with all that decides what it reads. threads: that it uses."""

    name: str
    threads: int

    def read(self, image: NDArray[np.uint8]) -> list[Reading]:
        """Return the texts in a picture, (h, w, 3) RGB, from top left."""
        ...


def check_installed() -> None:
    """Raise Unavailable where RapidOCR is missing."""
    if importlib.util.find_spec("rapidocr") is None or importlib.util.find_spec("onnxruntime") is None:
        raise Unavailable(f"--read-screen needs RapidOCR, which is not installed: {INSTALL}")


class RapidOcr:
    """RapidOCR with the models that its package holds: Latin, Chinese and Japanese writing."""

    def __init__(self, threads: int) -> None:
        """Unavailable where the package is missing."""
        check_installed()
        from importlib.metadata import version

        from rapidocr import RapidOCR

        self.name, self.threads = f"rapidocr {version('rapidocr')} {_DETECTION_EDGE}", threads
        runtime = "EngineConfig.onnxruntime"
        self._read = RapidOCR(
            params={
                "Global.log_level": "critical",
                "Global.use_cls": False,  # videos are upright
                "Global.text_score": _LEAST,
                "Det.limit_type": "max",
                "Det.limit_side_len": _DETECTION_EDGE,
                f"{runtime}.intra_op_num_threads": threads,
                f"{runtime}.inter_op_num_threads": 1,
            }
        )

    def read(self, image: NDArray[np.uint8]) -> list[Reading]:
        """See ScreenEngine."""
        found = self._read(np.ascontiguousarray(image[:, :, ::-1]))
        if found.boxes is None or found.txts is None or found.scores is None:
            return []
        size = np.array([image.shape[1], image.shape[0]])
        out = []
        for text, score, corners in zip(found.txts, found.scores, found.boxes, strict=True):
            shares = np.clip(np.asarray(corners, np.float64) / size, 0, 1)
            left, top = (round(float(share), 3) for share in shares.min(0))
            right, bottom = (round(float(share), 3) for share in shares.max(0))
            letters = sum(char.isalnum() for char in text)
            if letters >= _SHORTEST and left < right and top < bottom:
                out.append(Reading(" ".join(text.split()), float(score), (left, top, right, bottom)))
        return out
