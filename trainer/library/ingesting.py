"""Ingest into a collection with the encoder and the settings that it has already."""

import dataclasses
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

from engine.corpus import open_corpus
from trainer.ingest import media, tiles
from trainer.ingest.meter import Progress
from trainer.ingest.opening import check
from trainer.ingest.options import IngestOptions
from trainer.ingest.pipeline import ingest
from trainer.ingest.scan import Survey, VideoFile
from trainer.ingest.summary import Summary
from trainer.ingest.tuning import encoding_threads
from trainer.library.adding import add
from trainer.library.kits import Kits
from trainer.library.roots import Roots
from trainer.library.steps import Change, OnProgress, nothing
from trainer.screen.run import read_screens
from trainer.screen.setting import reads_screens
from trainer.speech.run import transcribe_all
from trainer.speech.setting import recogniser_of
from workers.feature_store.store import FeatureStore

_FINEST = 10_000


@dataclasses.dataclass(frozen=True, slots=True)
class Added:
    """What came of some files. summary: of the ingest. change: of the version. ids: by URI of the file."""

    summary: Summary
    change: Change
    ids: dict[str, str]

    def ids_of(self, files: Sequence[VideoFile]) -> list[str]:
        """Return the ids of those files that could be ingested, sorted."""
        found = (self.ids.get(media.uri_of(file.path)) for file in files)
        return sorted(video for video in found if video is not None)


def files_of(collection: Path, paths: Sequence[Path]) -> Survey:
    """Return the video files at paths; NotFound where there is none."""
    return check(paths, collection, Fraction(1))


def add_files(
    collection: Path,
    paths: Sequence[Path],
    kits: Kits,
    progress: Progress,
    on_progress: OnProgress = nothing,
    roots: Roots | None = None,
) -> Added:
    """Ingest files and folders, and add them to the current version; see `ingest` and `add` for the errors.

    A file that cannot be ingested is in the summary, and the others are added. Runs again where it stopped.
    roots: where links may lead; None: anywhere.
    """
    found = files_of(collection, paths)
    if roots is not None:
        found = roots.within(found)
    summary = _ingest(collection, paths, found, kits, progress)
    corpus = open_corpus(collection)
    ids = _ids(kits.of(corpus).store, found)
    change = add(collection, ids.values(), kits, [move["before"] for move in summary.moved], on_progress)
    return Added(summary, change, ids)


def _ingest(
    collection: Path, paths: Sequence[Path], found: Survey, kits: Kits, progress: Progress
) -> Summary:
    corpus = open_corpus(collection)
    recogniser = recogniser_of(collection)
    heard = None if recogniser is None else transcribe_all(collection, found.found, recogniser, _unseen)
    read = read_screens(collection, found.found, _unseen) if reads_screens(collection) else None
    encoder, clips = kits.encoder(corpus), kits.clip_encoder(corpus)
    frames = corpus.version.streams["frames"]
    with encoding_threads(encoder.device) as encoders:
        options = IngestOptions(
            fps=(1 / Fraction(frames.step)).limit_denominator(_FINEST),
            edge=max(encoder.frame_edge, clips.frame_edge if clips is not None else 0),
            clips=clips,
            dtype=frames.dtype,
            readers=kits.threads,
            encoders=min(encoders, kits.threads or encoders),
            settings=f"{encoder.device.type} auto",
            # What is added is as what is there.
            pictures=(collection / tiles.DIRECTORY).is_dir(),
        )
        summary = ingest(paths, collection, encoder, options, progress, found)
    if heard is not None:
        summary.heard(heard)
    if read is not None:
        summary.read(read)
    return summary


def _unseen(done: float, total: float, name: str) -> None:
    """Transcribing and reading show no progress of their own here."""


def _ids(store: FeatureStore, found: Survey) -> dict[str, str]:
    wanted = {media.uri_of(file.path) for file in found.found}
    records = (store.record(video) for video in store.ids())
    return {record.uri: record.id for record in records if record.uri in wanted}
