"""A tiny collection of real videos with a clip encoder, and what that says of the files themselves."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from click.testing import CliRunner
from numpy.typing import NDArray

from engine.corpus import open_corpus
from engine.errors import SprError
from engine.types import Floats
from spr_cli.main import cli
from tests import numeric
from tests.trainer.ingest.factories import regular, write_video
from tests.workers.ranker.factories import tiny_clip
from tests.workers.ranker.families import make
from trainer.ingest.video import VideoSampler
from workers.index.part import DIRECTORY, IndexPart
from workers.index.vectors import Vectors
from workers.ranker.encoder.encoder import Encoder

# Seconds and pictures a second: the levels of grey tell them apart. The last segment is a short one.
VIDEOS = {"a": (9.5, 6), "b": (14.0, 7), "c": (8.0, 10)}


def unit(rows: NDArray[Any]) -> Floats:
    return np.asarray(rows / np.linalg.norm(rows, axis=-1, keepdims=True), np.float32)


def spr(*arguments: object) -> str:
    result = CliRunner().invoke(cli, [*map(str, arguments)])
    assert result.exit_code == 0, (arguments, result.output, result.exception)
    return result.output


def refused(*arguments: object) -> str:
    result = CliRunner().invoke(cli, [*map(str, arguments)])
    assert isinstance(result.exception, SprError), result.output
    return str(result.exception)


def write(folder: Path, video: str, seconds: float, rate: int) -> Path:
    return write_video(folder / f"{video}.mp4", regular(seconds, rate), rate=rate)


@dataclass(frozen=True)
class World:
    """Two encoders and videos; the oracle reads the files itself."""

    root: Path

    @staticmethod
    def make(root: Path) -> "World":
        """Ingest three videos with a tiny CLIP and a tiny X-CLIP, and build."""
        made = World(root)
        make("xclip", root / "clips")
        tiny_clip(root / "frames")
        for video, about in VIDEOS.items():
            write(root / "videos", video, *about)
        given = ("--encoder", root / "frames", "--clip-encoder", root / "clips", "--device", "cpu")
        spr("ingest", root / "videos", "--collection", made.collection, *given)
        spr("build", made.collection, "--device", "cpu")
        return made

    @property
    def collection(self) -> Path:
        return self.root / "c"

    @cached_property
    def clips(self) -> Encoder:
        return Encoder.load(str(self.root / "clips"), "cpu", clips=True)

    @cached_property
    def frames(self) -> Encoder:
        return Encoder.load(str(self.root / "frames"), "cpu")

    def segments(self, path: Path) -> Floats:
        """Return what the clip encoder says of each four seconds of a file, one by one, as it is stored."""
        edge = max(self.frames.frame_edge, self.clips.frame_edge)
        shown = [one.image for one in VideoSampler(path, Fraction(1), edge) for _ in range(one.rows)]
        cut = [np.stack(shown[start : start + 4]) for start in range(0, len(shown), 4)]
        rows = np.concatenate([self.clips.clips(one[None]) for one in cut])
        return unit(rows.astype(np.float16).astype(np.float32))

    def told(self) -> dict[str, Floats]:
        """Return the segments of every video."""
        return {video: self.segments(self.root / "videos" / f"{video}.mp4") for video in VIDEOS}

    def best(self, texts: Sequence[str], vectors: Floats) -> NDArray[np.int64]:
        """Return the row of the nearest segment to each text by the clip encoder's own text tower."""
        return np.asarray((unit(self.clips.text(texts).pooled) @ vectors.T).argmax(axis=1))


def indexed(collection: Path) -> dict[str, Floats]:
    """Return the vectors of the current version's living videos, read from its indexes."""
    corpus = open_corpus(collection)
    found = {}
    for part in corpus.parts:
        index = IndexPart.open(part.directory / DIRECTORY, "cpu")
        rows = np.asarray(Vectors(index)[np.arange(len(index))])
        for number in part.living.tolist():
            video = corpus.catalogue.ids[part.ordinals[number]]
            found[video] = rows[index.videos == number]
    return found


def same(found: dict[str, Floats], wanted: dict[str, Floats]) -> None:
    assert found.keys() == wanted.keys()
    for video, rows in wanted.items():
        numeric.close(found[video], rows)
