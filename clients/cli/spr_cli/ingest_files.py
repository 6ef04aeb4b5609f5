"""`spr ingest` of files that are there: texts first, then features."""

import contextlib
import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import click

from spr_cli.transcribing import Wanted, texts_first

if TYPE_CHECKING:
    from trainer.ingest.options import IngestOptions
    from trainer.ingest.scan import Survey, VideoFile
    from trainer.ingest.summary import Summary


def ingest_files(
    paths: tuple[Path, ...],
    collection: Path,
    name: str | None,
    options: "IngestOptions",
    model: tuple[str | None, str, str],
    wanted: Wanted,
) -> "Summary":
    """Ingest; refuse what can be before `model` loads: (its name or None for the own, device, precision)."""
    from spr_cli.ingest import bar
    from trainer.collection.places import own_encoder
    from trainer.ingest.opening import check
    from trainer.ingest.pipeline import ingest
    from workers.ranker.encoder.files import resolve

    found, (encoder, device, precision) = check(paths, collection, options.fps), model
    encoder = encoder or own_encoder(collection)
    source = resolve(encoder)
    texts = texts_first(collection, _dealt(collection, found, options, source), wanted, device)

    from trainer.collection.places import describe_collection, keep_encoder
    from trainer.ingest.tuning import encoding_threads
    from workers.ranker.encoder.encoder import Encoder

    loaded = Encoder.load(encoder, device, precision)
    _tell_changed(collection, loaded.fingerprint, encoder)
    with contextlib.ExitStack() as stack:
        options = dataclasses.replace(
            options,
            edge=loaded.frame_edge,
            encoders=stack.enter_context(encoding_threads(loaded.device)),
            settings=f"{loaded.device.type} {precision}",
        )
        summary = ingest(paths, collection, loaded, options, bar(stack), found)
    texts.note(summary)
    if name is not None:
        describe_collection(collection, name)
    keep_encoder(collection, source, loaded.fingerprint, encoder)
    return summary


def _dealt(collection: Path, found: "Survey", options: "IngestOptions", encoder: Path) -> "list[VideoFile]":
    """Return the files that this run ingests."""
    from trainer.ingest.dealing import deal
    from workers.feature_store.store import FeatureStore
    from workers.ranker.encoder.files import fingerprint_of

    files, store = found.found[: options.limit or None], None
    if not options.share.whole:
        path = collection / "features" / fingerprint_of(encoder)
        store = FeatureStore.open(path) if (path / "store.json").exists() else None
    return deal(files, store, options.share)[0]


def _tell_changed(collection: Path, fingerprint: str, source: str) -> None:
    """Say so where an encoder's files are others than when the collection was ingested."""
    from workers.ranker.encoder.files import explain, resolve

    for store in (collection / "features").glob("*/store.json"):
        before = store.parent.name
        if before != fingerprint and (why := explain(resolve(source), before)):
            click.echo(f"note: encoder {before} is now {fingerprint}{why}", err=True)
