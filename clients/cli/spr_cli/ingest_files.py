"""`spr ingest` of files that are there: texts first, then features."""

import contextlib
import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import click

from spr_cli.transcribing import Wanted, remember, texts_first

if TYPE_CHECKING:
    from trainer.ingest.options import IngestOptions
    from trainer.ingest.scan import Survey, VideoFile
    from trainer.ingest.summary import Summary
    from trainer.spread.worker import IngestTask


def ingest_files(
    paths: tuple[Path, ...],
    collection: Path,
    name: str | None,
    options: "IngestOptions",
    model: tuple[str | None, str, str],
    wanted: Wanted,
    engine: str = "local",
) -> "Summary":
    """Ingest; refuse what can be before `model` loads: (its name or None for the own, device, precision)."""
    from trainer.collection.places import describe_collection, keep_encoder, own_encoder
    from trainer.ingest.opening import check
    from trainer.spread.crew import address_of
    from workers.ranker.encoder.files import fingerprint_of, resolve

    address = address_of(engine)
    found, (encoder, device, precision) = check(paths, collection, options.fps), model
    encoder = encoder or own_encoder(collection)
    source = resolve(encoder)
    if address is not None:
        fingerprint = fingerprint_of(source)
        _tell_changed(collection, fingerprint, encoder)
        task = _task(collection, (encoder, device, precision), fingerprint, options, wanted)
        summary = _spread(paths, task, address, encoder, found)
        remember(collection, wanted, device)
    else:
        texts = texts_first(collection, _dealt(collection, found, options, source), wanted, device)
        summary, fingerprint = _here(paths, collection, options, (encoder, device, precision), found)
        texts.note(summary)
    if name is not None:
        describe_collection(collection, name)
    keep_encoder(collection, source, fingerprint, encoder)
    return summary


def _here(
    paths: tuple[Path, ...],
    collection: Path,
    options: "IngestOptions",
    model: tuple[str, str, str],
    found: "Survey",
) -> tuple["Summary", str]:
    """Ingest in this process; return the encoder's fingerprint too."""
    from spr_cli.ingest import bar
    from trainer.ingest.pipeline import ingest
    from trainer.ingest.tuning import encoding_threads
    from workers.ranker.encoder.encoder import Encoder

    loaded = Encoder.load(*model)
    _tell_changed(collection, loaded.fingerprint, model[0])
    with contextlib.ExitStack() as stack:
        options = dataclasses.replace(
            options,
            edge=loaded.frame_edge,
            encoders=stack.enter_context(encoding_threads(loaded.device)),
            settings=f"{loaded.device.type} {model[2]}",
        )
        return ingest(paths, collection, loaded, options, bar(stack), found), loaded.fingerprint


def _task(
    collection: Path,
    model: tuple[str, str, str],
    fingerprint: str,
    options: "IngestOptions",
    wanted: Wanted,
) -> "IngestTask":
    """Return what workers on other machines do."""
    from trainer.spread.worker import IngestTask

    encoder, device, precision = model
    recogniser, screens = wanted.chosen(collection, device)
    if Path(encoder).is_dir():
        encoder = str(Path(encoder).resolve())
    return IngestTask(
        collection.absolute(), encoder, fingerprint, device, precision, options, recogniser, screens
    )


def _spread(
    paths: tuple[Path, ...], task: "IngestTask", address: str, encoder: str, found: "Survey"
) -> "Summary":
    from spr_cli.ingest import bar
    from trainer.spread.ingest import ingest_spread

    with contextlib.ExitStack() as stack:
        return ingest_spread(paths, task, address, encoder, bar(stack), found)


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
