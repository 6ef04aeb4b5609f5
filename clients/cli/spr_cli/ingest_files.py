"""`spr ingest` of files that are there: texts first, then features."""

import contextlib
import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import click

from engine.entries import features_of
from engine.errors import InvalidInput
from spr_cli.transcribing import Wanted, remember, texts_first

if TYPE_CHECKING:
    from trainer.ingest.options import IngestOptions
    from trainer.ingest.scan import Survey, VideoFile
    from trainer.ingest.summary import Summary
    from trainer.spread.worker import IngestTask
    from workers.ranker.encoder.encoder import Encoder


@dataclasses.dataclass(frozen=True, slots=True)
class Models:
    """What to encode with: None for the collection's own, "none" for no clip encoder."""

    encoder: str | None
    clip_encoder: str | None
    device: str
    precision: str


@dataclasses.dataclass(frozen=True, slots=True)
class _Sources:
    """The models as they were named, and where their files are."""

    encoder: str
    folder: Path
    clip_encoder: str
    clip_folder: Path | None

    @classmethod
    def of(cls, collection: Path, models: Models) -> "_Sources":
        from trainer.collection.encoders import own_clip_encoder, own_encoder
        from workers.ranker.encoder.files import resolve

        encoder = models.encoder or own_encoder(collection)
        folder = resolve(encoder)
        clips = models.clip_encoder or own_clip_encoder(collection, folder)
        return cls(encoder, folder, clips, resolve(clips) if clips not in ("", "none") else None)

    def keep(self, collection: Path) -> None:
        """Let the collection have copies of them."""
        from trainer.collection.places import keep_encoder
        from workers.ranker.encoder.files import fingerprint_of

        keep_encoder(collection, self.folder, fingerprint_of(self.folder), self.encoder)
        if self.clip_folder is not None:
            keep_encoder(collection, self.clip_folder, fingerprint_of(self.clip_folder), self.clip_encoder)


def ingest_files(
    paths: tuple[Path, ...],
    collection: Path,
    name: str | None,
    options: "IngestOptions",
    models: Models,
    wanted: Wanted,
    engine: str = "local",
) -> "Summary":
    """Ingest; refuse what can be before models load."""
    from trainer.collection.places import describe_collection
    from trainer.ingest.opening import check
    from trainer.spread.crew import address_of

    address = address_of(engine)
    found = check(paths, collection, options.fps)
    sources = _Sources.of(collection, models)
    if address is not None:
        task = _task(collection, sources, models, options, wanted)
        _tell_changed(collection, task.fingerprint, sources.encoder)
        summary = _spread(paths, task, address, sources.encoder, found)
        remember(collection, wanted, models.device)
    else:
        texts = texts_first(collection, _dealt(collection, found, options, sources), wanted, models.device)
        summary = _here(paths, collection, options, sources, models, found)
        texts.note(summary)
    if name is not None:
        describe_collection(collection, name)
    sources.keep(collection)
    return summary


def _here(
    paths: tuple[Path, ...],
    collection: Path,
    options: "IngestOptions",
    sources: _Sources,
    models: Models,
    found: "Survey",
) -> "Summary":
    """Ingest in this process."""
    from spr_cli.ingest import bar
    from trainer.ingest.pipeline import ingest
    from trainer.ingest.tuning import encoding_threads
    from workers.ranker.encoder.encoder import Encoder

    loaded = Encoder.load(sources.encoder, models.device, models.precision)
    clips = None if sources.clip_folder is None else _clip_encoder(sources.clip_encoder, models)
    _tell_changed(collection, loaded.fingerprint, sources.encoder)
    with contextlib.ExitStack() as stack:
        options = dataclasses.replace(
            options,
            edge=max(loaded.frame_edge, clips.frame_edge if clips is not None else 0),
            clips=clips,
            encoders=stack.enter_context(encoding_threads(loaded.device)),
            settings=f"{loaded.device.type} {models.precision}",
        )
        return ingest(paths, collection, loaded, options, bar(stack), found)


def _task(
    collection: Path, sources: _Sources, models: Models, options: "IngestOptions", wanted: Wanted
) -> "IngestTask":
    """Return what workers on other machines do."""
    from trainer.spread.worker import IngestTask
    from workers.ranker.encoder.files import fingerprint_of

    if sources.clip_folder is not None:
        raise InvalidInput(
            f"--engine ray encodes frames alone, not with {sources.clip_encoder} beside them: leave out "
            "--engine, or give --part on each machine."
        )
    recogniser, screens = wanted.chosen(collection, models.device)
    encoder = sources.encoder
    if Path(encoder).is_dir():
        encoder = str(Path(encoder).resolve())
    about = encoder, fingerprint_of(sources.folder), models.device, models.precision
    return IngestTask(collection.absolute(), *about, options, recogniser, screens)


def _spread(
    paths: tuple[Path, ...], task: "IngestTask", address: str, encoder: str, found: "Survey"
) -> "Summary":
    from spr_cli.ingest import bar
    from trainer.spread.ingest import ingest_spread

    with contextlib.ExitStack() as stack:
        return ingest_spread(paths, task, address, encoder, bar(stack), found)


def _clip_encoder(name: str, models: Models) -> "Encoder":
    from workers.ranker.encoder.encoder import Encoder

    loaded = Encoder.load(name, models.device, models.precision, clips=True)
    if not loaded.family.frames:
        what = f"{name} is {loaded.family.title}, which reads pictures, not clips"
        raise InvalidInput(f"{what}: name it with --encoder.")
    return loaded


def _dealt(
    collection: Path, found: "Survey", options: "IngestOptions", sources: _Sources
) -> "list[VideoFile]":
    """Return the files that this run ingests."""
    from trainer.ingest.dealing import deal
    from workers.feature_store.store import FeatureStore
    from workers.ranker.encoder.files import fingerprint_of

    files, store = found.found[: options.limit or None], None
    if not options.share.whole:
        beside = fingerprint_of(sources.clip_folder) if sources.clip_folder is not None else ""
        path = collection / "features" / features_of(fingerprint_of(sources.folder), beside)
        store = FeatureStore.open(path) if (path / "store.json").exists() else None
    return deal(files, store, options.share)[0]


def _tell_changed(collection: Path, fingerprint: str, source: str) -> None:
    """Say so where an encoder's files are others than when the collection was ingested."""
    from workers.ranker.encoder.files import explain, resolve

    for store in (collection / "features").glob("*/store.json"):
        before = store.parent.name.partition("-")[0]
        if before != fingerprint and (why := explain(resolve(source), before)):
            click.echo(f"note: encoder {before} is now {fingerprint}{why}", err=True)
