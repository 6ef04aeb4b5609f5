"""Small feature stores for tests."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workers.feature_store.format import write_header
from workers.feature_store.store import FeatureStore, Stream

FILES = ["journal.jsonl", "journal.copy.jsonl"]
STREAMS = {"frames": Stream(3, 1.0), "subtitles": Stream(2, 0.5)}


def rows(seed: int, frames: int = 4, subtitles: int = 2) -> dict[str, NDArray[np.float32]]:
    rng = np.random.default_rng(seed)
    return {
        "frames": rng.random((frames, 3), np.float32),
        "subtitles": rng.random((subtitles, 2), np.float32),
    }


def check(store: FeatureStore, expected: Mapping[str, Mapping[str, NDArray[Any]]]) -> None:
    assert store.ids() == sorted(expected)
    for video, arrays in expected.items():
        for name, array in arrays.items():
            np.testing.assert_array_equal(store.rows(video, name), array.astype(store.dtype))


def three(path: Path) -> dict[str, dict[str, NDArray[np.float32]]]:
    """Make a store of three videos, one of them replaced, and return what is in it."""
    with FeatureStore.create(path, STREAMS) as store:
        store.append("a", rows(1))
        store.append("b", rows(2))
        store.append("c", rows(3))
        store.append("b", rows(4, 5, 3))
    return {"a": rows(1), "b": rows(4, 5, 3), "c": rows(3)}


def bins(path: Path) -> dict[str, bytes]:
    return {name: (path / f"{name}.bin").read_bytes() for name in STREAMS}


def as_format_1(path: Path) -> None:
    """Turn a store into one as the first format had it: no numbers, no checksums, any name for an id."""
    lines = []
    for line in (path / "journal.jsonl").read_bytes().splitlines():
        entry = {
            key: value for key, value in json.loads(line).items() if key not in ("n", "crc", "checksums")
        }
        lines.append(json.dumps(entry).encode() + b"\n")
    (path / "journal.jsonl").write_bytes(b"".join(lines))
    for name in ("journal.copy.jsonl", "lock"):
        (path / name).unlink()
    header = json.loads((path / "store.json").read_text())
    del header["crc"]
    (path / "store.json").write_text(json.dumps({**header, "format": 1}))


def with_source(path: Path, source: str) -> None:
    """Note another source of the encoder in a store."""
    store = FeatureStore.open(path)
    write_header(path, store.streams, store.dtype.name, {**store.meta, "source": source})
