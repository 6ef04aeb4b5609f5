"""What a part knows of the looks of its videos: from files of all kinds to the list of a search."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from engine import duplicates
from engine.corpus import open_corpus
from engine.looks import LOOKS, Looks
from tests.engine.films import picture
from tests.engine.test_duplicates import moments
from tests.trainer.library.living import collection, store
from trainer.ingest.tiles import DIRECTORY, KEY, Film, key_of
from trainer.ingest.video import VideoSampler
from trainer.library.adding import add
from trainer.library.compacting import compact
from trainer.library.kits import Kits

RATE = 5


def film(path: Path, seed: int, codec: str, edge: int, start: float = 0.0, seconds: int = 24) -> Path:
    """Write a real file of a film from `start` on."""
    with av.open(path, "w") as container:
        stream: Any = container.add_stream(codec, rate=RATE)
        stream.width, stream.height, stream.pix_fmt = edge, edge, "yuv420p"
        for number in range(RATE * seconds):
            shown = picture(1, seed, start + number / RATE).astype(np.uint8).repeat(edge // 32, 0)
            rows = np.repeat(shown.repeat(edge // 32, 1)[..., None], 3, -1)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(rows, format="rgb24")))
        container.mux(stream.encode())
    return path


def pictured(path: Path, files: dict[str, Path]) -> None:
    """Keep the pictures of files, as ingest does, for videos of a collection."""
    for video, file in files.items():
        made = Film(key_of(file), Fraction(1))
        for sample in VideoSampler(file, Fraction(1), 256):
            made.add(sample)
        made.write(path / DIRECTORY)
        with store(path) as features:
            known = features.record(video)
            features.revise(video, uri=known.uri, info=known.info | {KEY: made.key, "labels": ["seen"]})


def also(path: Path) -> list[tuple[str, list[str]]]:
    """Return the videos of a list of the same moment in each, and those that are in each one's place."""
    corpus = open_corpus(path)
    ids = corpus.catalogue.ids
    starts = {"v04": 2.6}
    places = [(n, starts.get(video, 8.0), starts.get(video, 8.0) + 9.0) for n, video in enumerate(ids)]
    found = duplicates.merged(moments(*places), Looks(corpus).of)
    rows = zip(found.videos.tolist(), found.also or (), strict=True)
    return [(ids[video], [ids[one.video] for one in same]) for video, same in rows]


def test_copies_are_merged_through_files_parts_and_compaction(tmp_path: Path) -> None:
    videos = ("v01", "v02", "v03", "v04", "v05")
    path, kits = collection(tmp_path / "c", {video: (n, 24) for n, video in enumerate(videos)}), Kits("cpu")
    assert also(path) == [(video, []) for video in videos]  # of before: nothing is known
    original = film(tmp_path / "a.mp4", 1, "libx264", 128)
    copy = tmp_path / "b.mp4"
    copy.write_bytes(original.read_bytes())
    files = {
        "v01": original,
        "v02": copy,
        "v03": film(tmp_path / "small.avi", 1, "mpeg4", 64),
        "v04": film(tmp_path / "cut.mp4", 1, "libx264", 96, start=5.4),
        "v05": film(tmp_path / "other.mp4", 2, "libx264", 128),
    }
    pictured(path, files)
    add(path, list(videos), kits)
    wanted = [("v01", ["v02", "v03", "v04"]), ("v05", [])]
    assert also(path) == wanted
    compact(path)
    assert also(path) == wanted


def test_a_damaged_file_of_looks_merges_nothing(tmp_path: Path) -> None:
    path, kits = collection(tmp_path / "c", {"v01": (1, 24), "v02": (2, 24)}), Kits("cpu")
    file = film(tmp_path / "a.mp4", 1, "libx264", 64)
    pictured(path, {"v01": file, "v02": file})
    add(path, ["v01", "v02"], kits)
    assert also(path) == [("v01", ["v02"])]
    for part in open_corpus(path).parts:
        if LOOKS in part.about.files:
            data = bytearray((part.directory / LOOKS).read_bytes())
            data[-1] ^= 1
            (part.directory / LOOKS).chmod(0o600)
            (part.directory / LOOKS).write_bytes(data)
    assert also(path) == [("v01", []), ("v02", [])]
