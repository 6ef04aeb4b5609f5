"""The looks of a part's videos (`engine/looks.py`), made of the small pictures that ingest keeps."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from engine.looks import CELLS, NONE, Look, write_looks
from trainer.ingest import tiles
from workers.feature_store.store import FeatureStore

_EDGE = round(CELLS**0.5)


def write_seen(building: Path, store: FeatureStore, ids: Sequence[str]) -> None:
    """Write those of videos `ids`, sorted, into a part that is being built."""
    pictures = store.path.parents[1] / tiles.DIRECTORY
    infos = (store.record(video).info for video in ids)
    write_looks(building, (_look(pictures / str(info.get(tiles.KEY, ""))) for info in infos))


def _look(path: Path) -> Look:
    """Return what the pictures of a file show, a row a second; none where one is damaged or missing."""
    pictures = tiles.Tiles.read(path)
    levels: dict[bytes, Look] = {}
    rows = []
    for second in range(pictures.seconds):
        data = pictures.at(second)
        if data is None:
            return NONE
        # What stands still is one picture again and again.
        if data not in levels:
            levels = {data: _levels(data)}
        rows.append(levels[data])
    return np.stack(rows) if rows else NONE


def _levels(data: bytes) -> Look:
    """Return (CELLS,) levels of grey of a JPEG, from top left."""
    picture = Image.open(io.BytesIO(data))
    # An eighth of the size is what costs nothing to decode, and is still finer than the cells.
    picture.draft("L", (2 * _EDGE, 2 * _EDGE))
    cells = picture.convert("L").resize((_EDGE, _EDGE), Image.Resampling.BOX)
    return np.asarray(cells, np.uint8).reshape(CELLS)
