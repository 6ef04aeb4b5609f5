"""Verifying: every byte of every version, part, quantizer and model of a collection, and of its features."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from engine import parts, versions
from engine.entries import EncoderEntry, ModelEntry, Version, refuse
from engine.errors import NotFound, SprError
from engine.files import refusal, sha256
from engine.verification import verify as verify_files
from trainer.generation.frozen import frozen_files
from trainer.ingest import texts
from workers.feature_store.store import FeatureStore
from workers.ranker.encoder.files import fingerprint_of
from workers.ranker.sentences import layout
from workers.ranker.stores.checkpoint import load_state, read_card

OnProgress = Callable[[str, int, int], None]


def verify(collection: Path, on_progress: OnProgress | None = None) -> list[str]:
    """Return a sentence for everything that is damaged or missing, none if all is whole.

    What goes meanwhile with its versions, as garbage, is not missing. NotFound where the collection has no
    version at all.
    """
    tell = on_progress or (lambda *_: None)
    versions.current(collection)
    found: dict[str, Version] = {}
    said: list[str] = []
    for number in versions.numbers(collection):
        said += _trying(_note, found, collection, number)
    said += _trying(versions.read, collection)
    listed = {entry.id: entry for version in found.values() for entry in version.parts}
    for done, part in enumerate(sorted(listed)):
        tell("parts", done, len(listed))
        wrong = _trying(_verify_part, collection, part, listed[part].sha256)
        if wrong and any(entry.id == part for one in _there(collection, found) for entry in one.parts):
            said += wrong
    tell("parts", len(listed), len(listed))
    readable = _there(collection, found)
    said += [f"{path} is missing: restore it from a snapshot." for path in _missing(collection, readable)]
    said += damaged(collection, readable)
    said += [line for path in sorted((collection / "features").glob("[!.]*")) for line in _features(path)]
    return list(dict.fromkeys(said))


def damaged(collection: Path, listed: Sequence[Version]) -> list[str]:
    """Return a sentence for every quantizer and model of some versions that is damaged or missing."""
    said = [line for path in _quantizers(collection, listed) for line in _trying(_quantizer, path)]
    return said + _models(collection, listed)


def _trying(check: Callable[..., object], *arguments: object) -> list[str]:
    try:
        check(*arguments)
    except SprError as error:
        return [str(error)]
    return []


def _note(found: dict[str, Version], collection: Path, number: int) -> None:
    with contextlib.suppress(NotFound):
        version = versions.read(collection, str(number))
        found[version.id] = version


def _there(collection: Path, found: Mapping[str, Version]) -> list[Version]:
    """Return those of some versions that nobody has removed: a version's file goes before its parts."""
    return [one for one in found.values() if versions.path_of(collection, one.id).exists()]


def _verify_part(collection: Path, part: str, checksum: str) -> None:
    about, sealed = parts.read(collection, part)
    if sealed != checksum:
        raise refuse(f"{parts.directory(collection, part)} is not the part that its versions list.")
    verify_files(parts.directory(collection, part), about)


def _quantizers(collection: Path, listed: Sequence[Version]) -> list[Path]:
    return sorted({path for one in listed for path in frozen_files(collection, one)})


def _missing(collection: Path, listed: Sequence[Version]) -> list[Path]:
    return [path for path in _quantizers(collection, listed) if not path.exists()]


def _quantizer(path: Path) -> None:
    # A collection may have none that was migrated where memory could not hold its index.
    if not path.exists():
        return
    try:
        found = sha256(path)
    except OSError as error:
        raise refusal(error, path) from None
    if not found.startswith(path.stem):
        message = f"{path} has SHA-256 {found[:12]}..., not the one of its name: restore it from a snapshot."
        raise refuse(message)


def _models(collection: Path, listed: Sequence[Version]) -> list[str]:
    entries = {
        (kind, versions.model_path(collection, entry)): entry
        for version in listed
        for kind, entry in versions.models_of(version)
    }
    said = []
    for (kind, folder), entry in entries.items():
        said += _trying(_model, folder, kind, entry)
    return said


def _model(folder: Path, kind: str, entry: EncoderEntry | ModelEntry) -> None:
    if not folder.is_dir():
        raise refuse(f"{folder} is missing: restore it from a snapshot.")
    if not isinstance(entry, EncoderEntry):
        load_state(folder)
    if kind == versions.SENTENCES:
        found = layout.fingerprint_of(folder)
    else:
        found = fingerprint_of(folder) if isinstance(entry, EncoderEntry) else read_card(folder).fingerprint
    if found != entry.fingerprint:
        raise refuse(f"{folder} is not the {kind} of fingerprint {entry.fingerprint}: restore it.")


def _features(path: Path) -> Iterator[str]:
    try:
        store = FeatureStore.open(path)
    except SprError as error:
        yield str(error)
        return
    for video in store.ids():
        if not store.sound(video):
            yield f"the rows of {video!r} in {path} are damaged: ingest it again."
        if not texts.whole(path.parents[1], store.record(video).info):
            yield f"the texts of {video!r} in {path.parents[1] / texts.DIRECTORY} are lost: ingest it again."
