"""`spr ingest` of files that are there: texts first, then features."""

import contextlib
import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import click

from engine.entries import features_of
from engine.errors import InvalidInput
from spr_cli.transcribing import Wanted, texts_first

if TYPE_CHECKING:
    from trainer.ingest.options import IngestOptions
    from trainer.ingest.scan import Survey, VideoFile
    from trainer.ingest.summary import Summary
    from workers.ranker.encoder.encoder import Encoder


@dataclasses.dataclass(frozen=True, slots=True)
class Models:
    """What to encode with: None for the collection's own, "none" for no clip encoder."""

    encoder: str | None
    clip_encoder: str | None
    device: str
    precision: str


def ingest_files(
    paths: tuple[Path, ...],
    collection: Path,
    name: str | None,
    options: "IngestOptions",
    models: "Models",
    wanted: Wanted,
) -> "Summary":
    """Ingest; refuse what can be before models load."""
    from spr_cli.ingest import bar
    from trainer.collection.encoders import own_clip_encoder, own_encoder
    from trainer.ingest.opening import check
    from trainer.ingest.pipeline import ingest
    from workers.ranker.encoder.files import resolve

    found, device = check(paths, collection, options.fps), models.device
    encoder = models.encoder or own_encoder(collection)
    source = resolve(encoder)
    clip_encoder = models.clip_encoder or own_clip_encoder(collection, source)
    clip_source = resolve(clip_encoder) if clip_encoder not in ("", "none") else None
    dealt = _dealt(collection, found, options, source, clip_source)
    texts = texts_first(collection, dealt, wanted, device)

    from trainer.collection.places import describe_collection, keep_encoder
    from trainer.ingest.tuning import encoding_threads
    from workers.ranker.encoder.encoder import Encoder

    loaded = Encoder.load(encoder, device, models.precision)
    clips = None if clip_source is None else _clip_encoder(clip_encoder, models)
    _tell_changed(collection, loaded.fingerprint, encoder)
    with contextlib.ExitStack() as stack:
        options = dataclasses.replace(
            options,
            edge=max(loaded.frame_edge, clips.frame_edge if clips is not None else 0),
            clips=clips,
            encoders=stack.enter_context(encoding_threads(loaded.device)),
            settings=f"{loaded.device.type} {models.precision}",
        )
        summary = ingest(paths, collection, loaded, options, bar(stack), found)
    texts.note(summary)
    if name is not None:
        describe_collection(collection, name)
    keep_encoder(collection, source, loaded.fingerprint, encoder)
    if clips is not None and clip_source is not None:
        keep_encoder(collection, clip_source, clips.fingerprint, clip_encoder)
    return summary


def _clip_encoder(name: str, models: Models) -> "Encoder":
    from workers.ranker.encoder.encoder import Encoder

    loaded = Encoder.load(name, models.device, models.precision, clips=True)
    if not loaded.family.frames:
        what = f"{name} is {loaded.family.title}, which reads pictures, not clips"
        raise InvalidInput(f"{what}: name it with --encoder.")
    return loaded


def _dealt(
    collection: Path, found: "Survey", options: "IngestOptions", encoder: Path, clips: Path | None
) -> "list[VideoFile]":
    """Return the files that this run ingests."""
    from trainer.ingest.dealing import deal
    from workers.feature_store.store import FeatureStore
    from workers.ranker.encoder.files import fingerprint_of

    files, store = found.found[: options.limit or None], None
    if not options.share.whole:
        beside = fingerprint_of(clips) if clips is not None else ""
        path = collection / "features" / features_of(fingerprint_of(encoder), beside)
        store = FeatureStore.open(path) if (path / "store.json").exists() else None
    return deal(files, store, options.share)[0]


def _tell_changed(collection: Path, fingerprint: str, source: str) -> None:
    """Say so where an encoder's files are others than when the collection was ingested."""
    from workers.ranker.encoder.files import explain, resolve

    for store in (collection / "features").glob("*/store.json"):
        before = store.parent.name.partition("-")[0]
        if before != fingerprint and (why := explain(resolve(source), before)):
            click.echo(f"note: encoder {before} is now {fingerprint}{why}", err=True)
