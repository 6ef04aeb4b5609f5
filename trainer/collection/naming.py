"""Names for examples: pictures through the encoder of a collection's version, kept in its names.json."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from engine import names
from engine.errors import InvalidInput
from engine.names import NameEntry, NamesFile
from engine.version_lock import only_writer
from workers.ranker.examples import ExampleEncoder, stored_rows
from workers.ranker.models import Models
from workers.ranker.stores.features import FRAMES

Instant = tuple[str, float]  # a video's id and seconds from its first frame


def give_name(
    collection: Path, name: str, pictures: Sequence[bytes], instants: Sequence[Instant], device: str = "auto"
) -> NameEntry:
    """Let a name stand for picture files and frames of videos of the collection; return what is kept.

    A name that is there already stands for these alone. InvalidInput or NotFound say what cannot be used.
    """
    bare = names.clean(name)
    models = Models.open(collection, device=device)
    rows = [_stored(models, video, seconds) for video, seconds in instants]
    rows += list(ExampleEncoder(models).frames(pictures)) if pictures else []
    entry = NameEntry.of(models.version.features, np.stack(rows))
    with only_writer(collection, "name"):
        names.write(collection, NamesFile({**names.read(collection).names, bare: entry}))
    return entry


def take_name(collection: Path, name: str) -> None:
    """Remove a name; NotFound where the collection has none such."""
    with only_writer(collection, "name"):
        names.write(collection, names.remove(names.read(collection), name))


def _stored(models: Models, video: str, seconds: float) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    """Return the frame that a video shows at some time."""
    ordinal = models.corpus.catalogue.ordinal(video)
    rows = stored_rows(models, ordinal)[:, : models.queries.shown]
    number = int(seconds / models.features.step(FRAMES) + 1e-6)
    if not 0 <= number < len(rows):
        length = float(models.corpus.catalogue.durations[ordinal])
        raise InvalidInput(f"{video} has {length:g} s, and no frame at {seconds:g} s; name an earlier one")
    return np.asarray(rows[number], np.float32)
