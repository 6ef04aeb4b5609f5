"""`spr ingest` of files that are there: texts first, then features."""

import contextlib
import dataclasses
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

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


# An encoder's name and directory, then the clip encoder's if there is one.
Named: TypeAlias = list[tuple[str, Path]]


@dataclasses.dataclass(frozen=True, slots=True)
class Models:
    """What to encode with. encoder: None for the collection's own; so for clip_encoder, "none" for none."""

    encoder: str | None
    clip_encoder: str | None
    device: str
    precision: str

    def named(self, collection: Path) -> Named:
        """Return name and directory of the encoder, and of the clip encoder if there is one."""
        from trainer.collection.encoders import own_clip_encoder, own_encoder
        from workers.ranker.encoder.files import resolve

        encoder = self.encoder or own_encoder(collection)
        named = [(encoder, resolve(encoder))]
        clips = self.clip_encoder or own_clip_encoder(collection, named[0][1])
        return named if clips in ("", "none") else [*named, (clips, resolve(clips))]

    def load(self, encoder: str, clip_encoder: str = "") -> "tuple[Encoder, Encoder | None]":
        """Load them; InvalidInput for a clip encoder that reads pictures."""
        from workers.ranker.encoder.encoder import Encoder

        frames = Encoder.load(encoder, self.device, self.precision)
        if not clip_encoder:
            return frames, None
        clips = Encoder.load(clip_encoder, self.device, self.precision, clips=True)
        if not clips.reads_clips:
            what = f"{clip_encoder} is {clips.family.title}, which reads pictures, not clips"
            raise InvalidInput(f"{what}: name it with --encoder.")
        return frames, clips


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
    from trainer.collection.places import describe_collection, keep_encoder
    from trainer.ingest.opening import check
    from trainer.spread.crew import address_of
    from workers.ranker.encoder.files import fingerprint_of

    address = address_of(engine)
    find = partial(check, paths, collection, options.fps)
    if address is not None:
        named = models.named(collection)
        summary = _spread(paths, _task(collection, named, models, options, wanted), address, find)
        remember(collection, wanted, models.device)
    else:
        found, named = find(), models.named(collection)
        dealt = _dealt(collection, found, options, [folder for _, folder in named])
        texts = texts_first(collection, dealt, wanted, models.device)
        summary = _here(paths, collection, options, named, models, found)
        texts.note(summary)
    if name is not None:
        describe_collection(collection, name)
    for source, folder in named:
        keep_encoder(collection, folder, fingerprint_of(folder), source)
    return summary


def _here(
    paths: tuple[Path, ...],
    collection: Path,
    options: "IngestOptions",
    named: Named,
    models: Models,
    found: "Survey",
) -> "Summary":
    """Ingest in this process."""
    from spr_cli.ingest import bar
    from trainer.ingest.pipeline import ingest
    from trainer.ingest.tuning import encoding_threads

    encoder, clips = models.load(*(name for name, _ in named))
    _tell_changed(collection, encoder.fingerprint, encoder.name)
    with contextlib.ExitStack() as stack:
        options = dataclasses.replace(
            options,
            edge=max(encoder.frame_edge, clips.frame_edge if clips is not None else 0),
            clips=clips,
            encoders=stack.enter_context(encoding_threads(encoder.device)),
            settings=f"{encoder.device.type} {models.precision}",
        )
        return ingest(paths, collection, encoder, options, bar(stack), found)


def _task(
    collection: Path, named: Named, models: Models, options: "IngestOptions", wanted: Wanted
) -> "IngestTask":
    """Return what workers on other machines do."""
    from trainer.spread.worker import IngestTask
    from workers.ranker.encoder.files import fingerprint_of

    (encoder, folder), *clips = named
    if clips:
        raise InvalidInput(
            f"--engine ray encodes frames alone, not with {clips[0][0]} beside them: leave out --engine, or "
            "give --part on each machine."
        )
    recogniser, screens = wanted.chosen(collection, models.device)
    fingerprint = fingerprint_of(folder)
    _tell_changed(collection, fingerprint, encoder)
    if Path(encoder).is_dir():
        encoder = str(Path(encoder).resolve())
    about = encoder, fingerprint, models.device, models.precision
    return IngestTask(collection.absolute(), *about, options, recogniser, screens)


def _spread(
    paths: tuple[Path, ...], task: "IngestTask", address: str, find: "Callable[[], Survey]"
) -> "Summary":
    from spr_cli.ingest import bar
    from trainer.spread.ingest import ingest_spread

    with contextlib.ExitStack() as stack:
        return ingest_spread(paths, task, address, task.encoder, bar(stack), find)


def _dealt(
    collection: Path, found: "Survey", options: "IngestOptions", encoders: Iterable[Path]
) -> "list[VideoFile]":
    """Return the files that this run ingests; Unavailable where another one runs."""
    from trainer.ingest.dealing import deal
    from workers.feature_store.locking import lock
    from workers.feature_store.store import FeatureStore
    from workers.ranker.encoder.files import fingerprint_of

    files, store = found.found[: options.limit or None], None
    path = collection / "features" / features_of(*map(fingerprint_of, encoders))
    if (path / "store.json").exists():
        if options.share.whole:
            # What comes first, transcribing and reading, may take hours.
            lock(path).close()
        else:
            store = FeatureStore.open(path)
    return deal(files, store, options.share)[0]


def _tell_changed(collection: Path, fingerprint: str, source: str) -> None:
    """Say so where an encoder's files are others than when the collection was ingested."""
    from workers.ranker.encoder.files import explain, resolve

    for store in (collection / "features").glob("*/store.json"):
        before = store.parent.name.partition("-")[0]
        if before != fingerprint and (why := explain(resolve(source), before)):
            click.echo(f"note: encoder {before} is now {fingerprint}{why}", err=True)
