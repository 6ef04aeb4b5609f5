"""Checks before a model is loaded, and the feature store that an ingest writes."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

from engine.entries import features_of
from engine.errors import InvalidInput, Mismatch, NotFound, SprError, Unavailable
from engine.files import is_full, read_json, refusal
from engine.printable import printable
from trainer.collection.places import describe_collection
from trainer.ingest import media
from trainer.ingest.encoders import EncoderName
from trainer.ingest.options import IngestOptions
from trainer.ingest.scan import Survey, survey
from trainer.ingest.unfinished import DIRECTORY
from workers.feature_store.store import FeatureStore, Stream
from workers.ranker.stores.features import CLIPS, SEGMENT

# Frames a second: one in eleven days.
SLOWEST = Fraction(1, 1_000_000)


def check(paths: Sequence[Path], collection: Path, fps: Fraction) -> Survey:
    """Return the files to ingest; raise before any work where none could be ingested.

    NotFound where there is no video, InvalidInput for a rate that cannot be, Mismatch for a collection of
    another format, Unavailable for one that cannot be written.
    """
    if not SLOWEST <= fps <= 60:
        shown = f"{float(fps):g}" if abs(fps) < 1 << 64 else "as large as that"
        raise InvalidInput(f"--fps {shown} is not between {float(SLOWEST):g} and 60; 1 is usual")
    if not any(media.is_remote(path) or os.path.lexists(path) for path in paths):
        raise NotFound(f"{_listed(paths)}: no such file or folder can be seen; check the name")
    found = survey(paths)
    if not found.found and not found.unreadable:
        told = "".join(f"; {printable(media.shown(path))}: {why}" for path, why in found.left_out[:3])
        raise NotFound(f"there is no video in {_listed(paths)}; name a folder or a file that is one{told}")
    _check_collection(collection)
    return found


@contextlib.contextmanager
def features(collection: Path, encoder: EncoderName, options: IngestOptions) -> Iterator[FeatureStore]:
    """Open the collection's store of these encoders' features for writing; a new, empty one is removed."""
    try:
        describe_collection(collection)
    except OSError as error:
        raise _unwritable(collection, error) from error
    step, clips, share = float(1 / options.fps), options.clips, options.share
    streams = {"frames": Stream(encoder.dim, step), "subtitles": Stream(encoder.dim, step)}
    name, source = _named(encoder.name)
    meta = {"encoder": name, "source": source, "fingerprint": encoder.fingerprint}
    if clips is not None:
        streams[CLIPS] = Stream(clips.dim, SEGMENT * step)
        name, source = _named(clips.name)
        meta |= {"clip_encoder": name, "clip_source": source, "clip_fingerprint": clips.fingerprint}
    beside = clips.fingerprint if clips is not None else ""
    path = collection / "features" / features_of(encoder.fingerprint, beside)
    new = not path.exists()
    with FeatureStore.ensure(path, streams, options.dtype, meta, share) as store:
        try:
            yield store
        finally:
            # An empty store would be one more that every build has to choose from; others may be at it.
            if share.whole and new and not len(store) and not (path / DIRECTORY).exists():
                shutil.rmtree(path)


def _named(encoder: str) -> tuple[str, str]:
    """Return the name of an encoder for people, and where it is."""
    return Path(encoder).name, str(Path(encoder).resolve()) if Path(encoder).is_dir() else encoder


def _check_collection(collection: Path) -> None:
    about = collection / "collection.json"
    try:
        found = read_json(about).get("format")
    except (FileNotFoundError, NotADirectoryError):
        above = (collection.absolute(), *collection.absolute().parents)
        _check_writable(next(path for path in above if os.path.lexists(path)))
        return
    except OSError as error:
        raise _unwritable(about, error) from error
    except (ValueError, AttributeError, RecursionError):
        raise Mismatch(
            f"{printable(str(about))} is damaged; restore it from a backup, or ingest into a new directory"
        ) from None
    if found != 1:
        raise Mismatch(f"{about} has format {found!r}, this program reads 1; ingest into a new directory")
    _check_writable(collection)


def _check_writable(folder: Path) -> None:
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise _unwritable(folder, error) from error


def _unwritable(path: Path, error: OSError) -> SprError:
    if is_full(error):
        return refusal(error, path)
    return Unavailable(
        f"{printable(str(path))} cannot be written ({error.strerror}); make it writable, or choose another"
    )


def _listed(paths: Sequence[Path]) -> str:
    return ", ".join(printable(media.shown(path)) for path in paths[:5]) + (" ..." if len(paths) > 5 else "")
